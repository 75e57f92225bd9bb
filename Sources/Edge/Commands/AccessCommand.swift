// `postern access`: who may do what, and why.

package import ArgumentParser
import JSON
import Model

package struct AccessCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "access",
        abstract: "Ask the gate who may do what, and why.",
        discussion: """
            Example:
              postern access explain --caller usr_01jd3k8x5v9q2m7f --action settings.write
            """,
        subcommands: [Explain.self, List.self])

    package init() {}

    struct Explain: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whether somebody may do something, and why.",
            discussion: """
                Owners of a vault ask about its callers and members; admins of the instance about everybody. Nothing is done.

                Example:
                  postern access explain --caller key_01jd3k8x5v9q2m7f --action message.send
                  postern access explain --caller usr_01jd3k8x5v9q2m7f \\
                    --action vault.delete --resource shop
                """)

        static let action = Action.accessExplain

        @Option(help: "The id of a key, an SMTP user or a person; or anonymous.") var caller: String
        @Option(help: "Such as settings.write; `postern access list` shows all of them.") var action: String
        @Option(
            help: "A vault (id or slug), instance, account or open. Default: the vault, or the instance for people.")
        var resource: String?
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        /// What a key cannot be told, for it is about more than its vault.
        var audience: Audience {
            resource.map { ["instance", "account", "open"].contains($0) } == true ? .people : .peopleAndKeys
        }

        func perform(_ api: APIClient) async throws {
            var request = APIRequest(.get, in: try await root(api), "access", "explain")
            request.ask("caller", caller)
            request.ask("action", action)
            request.ask("resource", resource)
            let answer = try await api.object(request)
            try output.show(.object(answer), Self.lines(answer))
        }

        /// The vault's own view where the question is within a vault, and for all who do not look after the instance.
        private func root(_ api: APIClient) async throws(CommandFailure) -> APIRequest.Root {
            guard api.isPerson, api.access.vault == nil else { return .v1 }
            if resource == nil, !caller.hasPrefix("usr_"), caller != "anonymous" { return .v1 }
            let role = try await api.object(APIRequest(.get, in: .auth, "me"))["role"]?.stringValue
            return role.flatMap(InstanceRole.init(rawValue:)).map { $0 >= .admin } == true ? .api : .v1
        }

        static func lines(_ answer: JSONObject) -> [String] {
            let verb = answer["decision"]?.stringValue == "allow" ? "may" : "may not"
            var lines = [
                "\(ValueText.cell(answer["caller"])) \(verb) \(ValueText.cell(answer["action"])) "
                    + "on \(ValueText.cell(answer["resource"]))",
                "  why: \(ValueText.cell(answer["reason"]))",
            ]
            if let code = answer["code"] { lines.append("  code: \(ValueText.cell(code))") }
            if let fix = answer["fix"] { lines.append("  fix: \(ValueText.cell(fix))") }
            if let obligations = answer["obligations"]?.arrayValue, !obligations.isEmpty {
                lines.append("  and then: \(ValueText.cell(.array(obligations)))")
            }
            return lines
        }
    }

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List all actions: what each takes, and the commands that are one.",
            discussion: """
                --commands lists this program's commands with their actions instead, and asks no server.

                Example:
                  postern access list
                  postern access list --commands
                """)

        static let action = Action.accountRead

        @Flag(help: "List the commands of this program with their actions.") var commands = false
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        var audience: Audience { commands ? .everybody : .people }

        func perform(_ api: APIClient) async throws {
            guard !commands else { return try showCommands() }
            let columns = [
                TableColumn("ACTION", "name"), TableColumn("KEY", text: Self.scopes),
                TableColumn("SMTP USER") { $0["smtp_users"]?.boolValue == true ? "yes" : "-" },
                TableColumn("MEMBER", "vault_role"), TableColumn("ANY VAULT", "any_vault_role"),
                TableColumn("INSTANCE", "instance_role"), TableColumn("OBLIGATIONS", "obligations", limit: 60),
                TableColumn("COMMANDS", limit: 80, text: Self.commands),
            ]
            try await Listing(columns: columns, nothing: "No actions.")
                .print(APIRequest(.get, in: .api, "access", "actions"), api, output: output)
        }

        private func showCommands() throws(CommandFailure) {
            let rows = CommandTree.current.leaves.map { leaf in
                JSONObject([
                    "command": .string(leaf.words), "action": leaf.action.map { .string($0.rawValue) } ?? .null,
                ])
            }
            var table = Table([TableColumn("COMMAND", "command"), TableColumn("ACTION", "action")])
            let document = JSONObject(["data": .array(rows.map { .object($0) }), "next_cursor": .null])
            try output.show(.object(document), table.lines(rows))
        }

        private static func scopes(_ action: JSONObject) -> String {
            guard let scopes = action["scopes"]?.arrayValue else { return "-" }
            return scopes.isEmpty ? "any" : ValueText.cell(.array(scopes))
        }

        private static func commands(_ action: JSONObject) -> String {
            guard let action = action["name"]?.stringValue.flatMap(Action.init(rawValue:)) else { return "-" }
            let commands = CommandTree.current.commands(of: action)
            return commands.isEmpty ? "-" : commands.joined(separator: ", ")
        }
    }
}
