// `postern smtp-user`: the logins for the SMTP doors.

package import ArgumentParser
import JSON

package struct SMTPUserCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "smtp-user",
        abstract: "Make, list and delete SMTP logins.",
        discussion: """
            Example:
              postern smtp-user create --label 'the old printer'
            """,
        subcommands: [List.self, Create.self, Delete.self])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List the SMTP logins.",
            discussion: """
                Example:
                  postern smtp-user list --json
                """)

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
                  postern smtp-user create --username printer --label 'the old printer'
                """)

        @Option(help: "The login; the server makes one up where none is given.")
        var username: String?

        @Option(help: "What the login is for, in your words.")
        var label: String?

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var body = JSONObject()
            body.give("username", username)
            body.give("label", label)
            return APIRequest(.post, "smtp-users", json: body)
        }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(request))
            Terminal.current.note("This is the only time that the password is shown.")
        }
    }

    struct Delete: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete an SMTP login at once and for good.",
            discussion: """
                Example:
                  postern smtp-user delete smtp_01jd3k8x5v9q2m7f
                """)

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
