// `postern invitation`: asking somebody in, to the instance or to one vault.

package import ArgumentParser
import JSON
import Model

package struct InvitationCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "invitation",
        abstract: "Invite people, and accept an invitation.",
        discussion: """
            Admins invite to the instance; owners of a vault, with --vault, to their vault.

            Example:
              postern invitation create ada@example.com --grant shop=operator
            """,
        subcommands: [List.self, Create.self, Revoke.self, Resend.self, Accept.self])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List invitations, the newest first.",
            discussion: """
                Example:
                  postern invitation list --state pending
                  postern invitation list --vault shop
                """)

        static let action = Action.invitationRead

        @Option(help: "pending, accepted, revoked or expired.") var state: String?
        @OptionGroup var place: InvitationPlace
        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var request = place.request(.get)
            request.ask("state", state)
            return request
        }

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("ID", "id"), TableColumn("E-MAIL", "email"), TableColumn("ROLE", "role"),
                TableColumn("VAULTS", limit: 60, text: Self.grants), TableColumn("STATE", "state"),
                TableColumn("INVITED BY", "invited_by"), TableColumn("EXPIRES", "expires_at"),
            ]
            try await Listing(columns: columns, nothing: "No invitations.")
                .print(request, api, page: page, output: output)
        }

        /// `shop: operator`
        private static func grants(_ invitation: JSONObject) -> String {
            let texts = (invitation["vaults"]?.arrayValue ?? []).compactMap(\.objectValue).map { grant in
                "\(ValueText.cell(grant["slug"] ?? grant["id"])): \(ValueText.cell(grant["role"]))"
            }
            return texts.isEmpty ? "-" : texts.joined(separator: ", ")
        }
    }

    struct Create: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Invite somebody. The link holds for 72 hours, and works once.",
            discussion: """
                Where the server sends mail the link goes there; else it is printed, for you to hand over.

                Example:
                  postern invitation create ada@example.com --role member \\
                    --grant shop=operator lab=viewer
                  postern invitation create bob@example.com --vault shop --vault-role viewer
                """)

        static let action = Action.invitationWrite

        @Argument(help: "Whom to invite: an e-mail address.") var email: String
        @Option(help: "The role at the instance: viewer, member, admin or owner; the server's default is member.")
        var role: String?
        @Option(
            parsing: .upToNextOption,
            help: ArgumentHelp(
                "Vaults to become a member of, each with a role: viewer, operator or owner. Several, or with commas.",
                valueName: "vault=role"))
        var grant: [String] = []
        @Option(help: "With --vault, the role there: viewer, operator or owner.") var vaultRole: String?
        @OptionGroup var place: InvitationPlace
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (place.vault == nil) == (vaultRole == nil) else {
                throw ValidationError("--vault and --vault-role go together; without them, --grant names vaults.")
            }
            if place.vault != nil, !grant.isEmpty {
                throw ValidationError("--grant is for invitations to the instance; leave out --vault.")
            }
            for text in grant.splitAtCommas where Self.pair(text) == nil {
                throw ValidationError("'\(Visible.text(text))' is not vault=role.")
            }
        }

        var request: APIRequest {
            var body = JSONObject()
            body.give("email", email)
            if let vaultRole {
                body.give("role", vaultRole)
                body.give("instance_role", role)
            } else {
                body.give("role", role)
                let grants = grant.splitAtCommas.compactMap(Self.pair).map { pair in
                    JSONValue.object(JSONObject(["vault": .string(pair.vault), "role": .string(pair.role)]))
                }
                if !grants.isEmpty { body["vaults"] = .array(grants) }
            }
            var request = place.request(.post)
            request.body = .json(.object(body))
            return request
        }

        func perform(_ api: APIClient) async throws {
            try LinkAnswer.show(try await api.object(request), output)
        }

        private static func pair(_ text: String) -> (vault: String, role: String)? {
            let parts = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
            return (parts[0], parts[1])
        }
    }

    struct Revoke: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Take an invitation back: its link is worth nothing any more.",
            discussion: """
                Example:
                  postern invitation revoke inv_01jd3k8x5v9q2m7f
                """)

        static let action = Action.invitationWrite

        @Argument(help: "The invitation's id.") var id: String
        @OptionGroup var place: InvitationPlace
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            _ = try await api.send(place.request(.delete, id))
            try output.done("revoked", id)
        }
    }

    struct Resend: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new link for an invitation; the old one is worth nothing any more.",
            discussion: """
                Example:
                  postern invitation resend inv_01jd3k8x5v9q2m7f
                """)

        static let action = Action.invitationWrite

        @Argument(help: "The invitation's id.") var id: String
        @OptionGroup var place: InvitationPlace
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            try LinkAnswer.show(try await api.object(place.request(.post, id, "resend")), output)
        }
    }
}

/// Invitations to the instance, or those of one vault. Only the option says which: a variable that is set for other commands
/// must not turn the one into the other.
struct InvitationPlace: ParsableArguments {
    @Option(help: "The vault, by id or slug, for its owners; without it, the instance.") var vault: String?

    func validate() throws {
        if let vault { try IDArgument.check(vault) }
    }

    func request(_ method: APIRequest.Method, _ path: String...) -> APIRequest {
        var request = APIRequest(method, in: .api)
        request.path = (vault.map { ["vaults", $0] } ?? []) + ["invitations"] + path
        return request
    }
}
