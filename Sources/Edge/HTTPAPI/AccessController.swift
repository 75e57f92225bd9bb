// Why the gate says yes or no: the table of actions, and the answer for a caller, an action and a resource.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Store
import Vaults

struct AccessController: Sendable {
    let gate: Gate
    let callers: CallerDirectory
    let users: UserRepository
    let vaults: VaultDirectory
    let clock: any WallClock

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/access/explain", .accessExplain, isGateway: false) { call in
                let question = try Question(call.request)
                guard let resource = try await target(question.resource, default: call.vault),
                    case .vault(call.vault, _) = resource
                else { throw Self.absent }
                return try await answer(question, resource, in: call.vault)
            },
            .instance(.get, "/api/access/explain", .accessExplain) { call in
                let question = try Question(call.request)
                guard let resource = try await target(question.resource, default: nil) else { throw Self.absent }
                return try await answer(question, resource, in: nil)
            },
            .account(.get, "/api/access/actions", .accountRead) { call in
                var query = Query(call.request)
                try query.finish()
                return .json { writer in
                    writer.object { writer in
                        writer.name("data")
                        writer.array { writer in
                            for action in Action.allCases { writer.object { Self.write(action, to: &$0) } }
                        }
                        writer.member("next_cursor", String?.none)
                    }
                }
            },
        ]
    }

    private struct Question {
        let caller: String
        let action: Action
        let resource: String?

        init(_ request: Request) throws(PosternError) {
            var query = Query(request)
            caller = query.text("caller") ?? ""
            let name = query.text("action") ?? ""
            resource = query.text("resource")
            if caller.isEmpty {
                query.problem("must be given: the id of a key, an SMTP user or a person, or anonymous", "caller")
            }
            let action = Action(rawValue: name)
            if action == nil {
                query.problem(
                    name.isEmpty
                        ? "must be given, such as settings.write"
                        : "is no action; GET /api/access/actions lists all of them", "action")
            }
            try query.finish()
            self.action = action ?? .statusRead
        }
    }

    /// - Throws: `not_found` for a vault that is not there.
    private func target(_ name: String?, default vault: VaultID?) async throws -> Resource? {
        switch name {
        case nil:
            guard let vault else { return .instance }
            return .vault(vault, try await vaults.standing(of: vault))
        case "instance": return .instance
        case "account": return .account
        case "open": return .open
        case let name?:
            guard let vault = try await vaults.find(name) else { return nil }
            return .vault(vault.id, try await vaults.standing(of: vault.id))
        }
    }

    /// - Parameter vault: the only one whose callers may be asked about; `nil` for the instance's own view.
    private func answer(_ question: Question, _ resource: Resource, in vault: VaultID?) async throws -> Response {
        let home: VaultID? = if case .vault(let id, _) = resource { id } else { vault }
        guard let principal = try await principal(question.caller, home: home, isInside: vault != nil) else {
            throw PosternError(
                .notFound, "there is no such caller here",
                fix: "Give the id of a key or SMTP user of the vault (as resource), or of a person.")
        }
        let decision = gate.decide(principal, question.action, on: resource)
        return .json { writer in
            writer.object { writer in
                writer.member("caller", question.caller)
                writer.member("action", question.action.rawValue)
                writer.member("resource", resource.name)
                switch decision {
                case .allow(let obligations, let reason):
                    writer.member("decision", "allow")
                    writer.member("reason", reason.description)
                    writer.member("obligations", obligations.names)
                case .deny(let error):
                    writer.member("decision", "deny")
                    writer.member("code", error.code.rawValue)
                    writer.member("reason", error.detail)
                    writer.member("fix", error.fix)
                }
                writer.name("rule")
                writer.object { Self.write(question.action, to: &$0) }
            }
        }
    }

    private func principal(_ text: String, home: VaultID?, isInside: Bool) async throws -> Principal? {
        if text == "anonymous" { return .stranger }
        if let id = UserID(text) {
            guard let person = try await users.person(id, at: clock.now()) else { return nil }
            // Who is not in the vault is nobody there.
            if isInside, let home, person.memberships[home] == nil { return nil }
            return .person(person)
        }
        guard let home else { return nil }
        if let id = KeyID(text), let key = try await callers.keys.find(id, in: home) {
            guard key.isAlive(at: clock.now()) else {
                throw PosternError(.conflict, "the key has expired or was revoked: it may nothing any more")
            }
            return .caller(key.caller)
        }
        if let id = SMTPUserID(text), let user = try await callers.users.find(id, in: home) {
            return .caller(user.caller)
        }
        return nil
    }

    private static func write(_ action: Action, to writer: inout JSONWriter) {
        let rule = action.rule
        writer.member("name", action.rawValue)
        writer.name("scopes")
        if let scopes = rule.scopes { writer.value(scopes.namesInOrder.json) } else { writer.null() }
        writer.member("smtp_users", rule.isOpenToLogins || rule.scopes?.contains(.send) ?? false)
        writer.member("vault_role", rule.member?.rawValue)
        writer.member("any_vault_role", rule.steward?.rawValue)
        writer.member("instance_role", rule.instance?.rawValue)
        writer.member("own_account", rule.isOwn)
        writer.member("everybody", rule.isOpen)
        writer.member("changes", !rule.changesNothing)
        writer.member("vault_state", rule.state.rawValue)
        writer.member("feature", rule.feature?.rawValue)
        writer.member("obligations", rule.obligations.names)
    }

    private static let absent = PosternError(.notFound, "there is no such vault here")
}

extension Resource {
    var name: String {
        switch self {
        case .vault(let id, _): id.text
        case .instance: "instance"
        case .account: "account"
        case .open: "open"
        }
    }
}
