// `postern smtp-user`: the logins for the SMTP doors.

package import ArgumentParser
import JSON
import Model

package struct SMTPUserCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "smtp-user",
        abstract: "Make, list, change, rotate and delete SMTP logins.",
        discussion: """
            Example:
              postern smtp-user create --label 'the old printer'
            """,
        subcommands: [List.self, Create.self, Show.self, Edit.self, Rotate.self, Delete.self])

    package init() {}

    /// Creating and rotating show the password; nothing else ever does.
    private static let shownOnce = "This is the only time that the password is shown."

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List the SMTP logins.",
            discussion: """
                Example:
                  postern smtp-user list --json
                """)

        static let action = Action.smtpUserRead

        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("ID", "id"), TableColumn("USERNAME", "username"), TableColumn("LABEL", "label"),
                TableColumn("CREATED", "created_at"), TableColumn("LAST USED", "last_used_at"),
            ]
            try await Listing(columns: columns, nothing: "No SMTP users.")
                .print(APIRequest(.get, "smtp-users"), api, page: page, output: output)
        }
    }

    struct Create: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an SMTP login. Its password is shown once.",
            discussion: """
                Example:
                  postern smtp-user create --username printer --label 'the old printer' \\
                    --sender-domain example.com --allowed-ip 192.0.2.7
                """)

        static let action = Action.smtpUserWrite

        @Option(help: "The login; the server makes one up where none is given.")
        var username: String?

        @Option(help: "What the login is for, in your words.")
        var label: String?

        @OptionGroup var bounds: CallerBounds
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var body = JSONObject()
            body.give("username", username)
            body.give("label", label)
            bounds.write(to: &body)
            return APIRequest(.post, "smtp-users", json: body)
        }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(request))
            Terminal.current.note(SMTPUserCommand.shownOnce)
        }
    }

    struct Show: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show an SMTP login, but never its password.",
            discussion: """
                Example:
                  postern smtp-user show smtp_01jd3k8x5v9q2m7f
                """)

        static let action = Action.smtpUserRead

        @Argument(help: "The login's id, not its name.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(APIRequest(.get, "smtp-users", id)))
        }
    }

    struct Edit: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Change an SMTP login; what is not given stays.",
            discussion: """
                Sessions that are open end where the login is bound otherwise afterwards.

                Example:
                  postern smtp-user edit smtp_01jd3k8x5v9q2m7f --allowed-ip 192.0.2.0/24
                  postern smtp-user edit smtp_01jd3k8x5v9q2m7f --remove sender_domains
                """)

        static let action = Action.smtpUserWrite

        @Argument(help: "The login's id, not its name.") var id: String
        @Option(help: "What the login is for, in your words.") var label: String?
        @OptionGroup var bounds: CallerBounds
        @Option(
            parsing: .upToNextOption,
            help: ArgumentHelp("Takes bounds away: sender_domains, allowed_ips, ip_pool.", valueName: "bound"))
        var remove: [String] = []
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            try IDArgument.check(id)
            guard label != nil || !bounds.isEmpty || !remove.isEmpty else {
                throw ValidationError(
                    "Give what changes: --label, --sender-domain, --allowed-ip, --ip-pool or --remove.")
            }
            let known = ["sender_domains", "allowed_ips", "ip_pool"]
            guard remove.splitAtCommas.allSatisfy(known.contains) else {
                throw ValidationError("--remove takes \(known.joined(separator: ", ")).")
            }
        }

        var request: APIRequest {
            var body = JSONObject()
            for name in remove.splitAtCommas { body[name] = .null }
            body.give("label", label)
            bounds.write(to: &body)
            return APIRequest(.patch, "smtp-users", id, json: body)
        }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(request))
        }
    }

    struct Rotate: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Give an SMTP login a new password. It is shown once.",
            discussion: """
                The old password and the sessions that it opened end at once.

                Example:
                  postern smtp-user rotate smtp_01jd3k8x5v9q2m7f
                """)

        static let action = Action.smtpUserWrite

        @Argument(help: "The login's id, not its name.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(APIRequest(.post, "smtp-users", id, "rotate")))
            Terminal.current.note(SMTPUserCommand.shownOnce)
        }
    }

    struct Delete: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete an SMTP login at once and for good.",
            discussion: """
                Example:
                  postern smtp-user delete smtp_01jd3k8x5v9q2m7f
                """)

        static let action = Action.smtpUserWrite

        @Argument(help: "The login's id, not its name.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            _ = try await api.send(APIRequest(.delete, "smtp-users", id))
            try output.done("deleted", id)
        }
    }
}
