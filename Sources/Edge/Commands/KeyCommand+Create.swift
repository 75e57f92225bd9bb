// `postern key create`: everything that a key can be bound to, as options.

import ArgumentParser
import JSON
import Model

extension KeyCommand {
    struct Create: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key. It is shown once.",
            discussion: """
                The new key comes from yours: it can do no more, and ends with it.

                Example:
                  postern key create --label billing --scope send read \\
                    --sender-domain example.com '*.example.com' --allowed-ip 192.0.2.0/24
                  postern key create --label helper --kind agent --scope send \\
                    --send-rate-limit 100 --expires-in 3600
                """)

        static let action = Action.keyWrite

        @Option(help: "What the key is for, in your words.")
        var label: String

        @Option(help: "tool or agent; the server's default is tool, and agent for what an agent makes.")
        var kind: String?

        @Option(
            parsing: .upToNextOption,
            help: "What the key may do: send, read, mailerq, amqp, admin. Several, or with commas.")
        var scope: [String]

        @Option(
            help: ArgumentHelp(
                "The key sees only keys, SMTP users and messages whose label begins so.", valueName: "text"))
        var labelPrefix: String?

        @Flag(help: "The key may read and change nothing, whatever its scopes.")
        var readOnly = false

        @OptionGroup var bounds: CallerBounds

        @Option(help: ArgumentHelp("Messages an hour, for this key and all that comes from it.", valueName: "messages"))
        var sendRateLimit: Int?

        @Option(help: ArgumentHelp("Messages at once; else as many as in an hour.", valueName: "messages"))
        var burstCeiling: Int?

        @Option(help: ArgumentHelp("When the key ends, such as 2027-01-01T00:00:00Z.", valueName: "time"))
        var expiresAt: String?

        @Option(
            help: ArgumentHelp(
                "Makes a temporary key that ends after so long, 300 to 604800, and can neither be rotated nor make keys.",
                valueName: "seconds"))
        var expiresIn: Int?

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var body = JSONObject()
            body.give("label", label)
            body.give("kind", kind)
            body.give("scopes", scope.splitAtCommas)
            body.give("label_prefix", labelPrefix)
            if readOnly { body["read_only"] = .bool(true) }
            bounds.write(to: &body)
            body.give("send_rate_limit", sendRateLimit)
            body.give("burst_ceiling", burstCeiling)
            body.give("expires_at", expiresAt)
            body.give("expires_in", expiresIn)
            return APIRequest(.post, "keys", json: body)
        }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(request))
            Terminal.current.note(KeyCommand.shownOnce)
        }
    }
}

/// What keys and SMTP users can be bound to alike.
struct CallerBounds: ParsableArguments {
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Mail may be sent from these domains only.", valueName: "domain"))
    var senderDomain: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("It works from these addresses and networks only.", valueName: "address"))
    var allowedIP: [String] = []

    @Option(
        help: ArgumentHelp(
            "The IP pool that its mail leaves from, where ip_pool_strategy is caller.", valueName: "pool"))
    var ipPool: String?

    var isEmpty: Bool { senderDomain.isEmpty && allowedIP.isEmpty && ipPool == nil }

    func write(to body: inout JSONObject) {
        body.give("sender_domains", senderDomain.splitAtCommas)
        body.give("allowed_ips", allowedIP.splitAtCommas)
        body.give("ip_pool", ipPool)
    }
}

extension JSONObject {
    mutating func give(_ name: String, _ number: Int?) {
        if let number { self[name] = .integer(Int64(number)) }
    }
}
