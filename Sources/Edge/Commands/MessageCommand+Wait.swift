// `postern message wait`: for scripts and tests that need to know how a message ended.

import ArgumentParser
import JSON
import Model

extension MessageCommand {
    struct Wait: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Wait until a message gets where it should.",
            discussion: """
                Without --until any end will do. Exit code 4: the time ran out first; 1: the message ended in another \
                way.

                Example:
                  postern message wait msg_01jd3k8x5v9q2m7f --until delivered captured
                  postern message wait msg_01jd3k8x5v9q2m7f --timeout 10
                """)

        static let action = Action.messageRead

        @Argument(help: "The message's id.") var id: String

        @Option(
            parsing: .upToNextOption,
            help: ArgumentHelp(
                "One of \(MessageStatus.allCases.map(\.rawValue).joined(separator: ", ")). Several, or with commas.",
                valueName: "status"))
        var until: [String] = []

        @Option(help: ArgumentHelp("The most seconds to wait.", valueName: "seconds"))
        var timeout: Double = 60

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            try IDArgument.check(id)
            _ = try wanted()
            guard (0...86_400).contains(timeout) else { throw ValidationError("--timeout is from 0 to 86400 seconds.") }
        }

        private func wanted() throws -> Set<MessageStatus> {
            Set(
                try until.splitAtCommas.map { name in
                    guard let status = MessageStatus(rawValue: name) else {
                        throw ValidationError("'\(Visible.text(name))' is not a status of a message.")
                    }
                    return status
                })
        }

        func perform(_ api: APIClient) async throws {
            let clock = ContinuousClock()
            var wait = MessageWait(until: try wanted(), timeout: .seconds(timeout), start: clock.now)
            while true {
                let message = try await api.object(APIRequest(.get, "messages", id))
                let status = message["status"]?.stringValue ?? ""
                switch wait.next(after: MessageStatus(rawValue: status), at: clock.now) {
                case .reached:
                    return try show(message, status)
                case .ended:
                    try show(message, status)
                    let reply = message["last_reply"]?.stringValue.map { ": \($0)" } ?? ""
                    throw CommandFailure.failed("\(id) ended as \(status)\(reply)")
                case .timedOut:
                    throw CommandFailure.timedOut("\(id) is still \(status) after \(timeout) s")
                case .sleep(let duration):
                    try await clock.sleep(for: duration)
                }
            }
        }

        private func show(_ message: JSONObject, _ status: String) throws(CommandFailure) {
            try output.show(.object(message), ["\(Visible.text(id))  \(Visible.text(status))"])
        }
    }
}

/// When to look at the message again: often at first, since most mail leaves at once, then less.
struct MessageWait {
    enum Step: Equatable {
        case reached
        /// The message is at an end that nobody waits for.
        case ended
        case timedOut
        case sleep(Duration)
    }

    private let wanted: Set<MessageStatus>
    private let deadline: ContinuousClock.Instant
    private var pause = Duration.milliseconds(100)

    /// - Parameter until: empty for any end.
    init(until wanted: Set<MessageStatus>, timeout: Duration, start: ContinuousClock.Instant) {
        self.wanted = wanted
        deadline = start + timeout
    }

    /// - Parameter status: `nil` for one that this program does not know, which is neither an end nor wanted.
    mutating func next(after status: MessageStatus?, at now: ContinuousClock.Instant) -> Step {
        if let status {
            if wanted.isEmpty ? status.isFinal : wanted.contains(status) { return .reached }
            if status.isFinal { return .ended }
        }
        guard now < deadline else { return .timedOut }
        defer { pause = min(pause * 2, .seconds(2)) }
        return .sleep(min(pause, deadline - now))
    }
}
