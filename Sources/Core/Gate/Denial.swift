// The refusals that the gate's rules have in common.

import Model

enum Denial {
    /// Said of what is not there, and of what belongs to others: nobody learns which.
    static let absent = PosternError(.notFound, "there is no such thing in this vault")
    static let unsigned = PosternError(.unauthorized, "nobody is signed in")

    static func noPerson(_ action: Action) -> PosternError {
        PosternError(
            .forbidden, "\(action.rawValue) is for people who signed in, and not for keys and SMTP users",
            fix: "Sign in (POST /auth/login, postern login) and use that token.")
    }

    static func noLogin(_ caller: Caller, _ action: Action) -> PosternError {
        PosternError(
            .forbidden, "\(caller.label) is no SMTP user, and \(action.rawValue) is for those",
            fix: "Make an SMTP user (POST /v1/smtp-users), or use HTTP.")
    }

    /// An action that is no question for this kind of resource.
    static func misplaced(_ action: Action) -> PosternError {
        PosternError(.forbidden, "\(action.rawValue) does not concern this", fix: "See docs/access.md.")
    }

    static func noMember(_ person: Person, _ action: Action, _ rule: ActionRule) -> PosternError {
        guard rule.member != nil else { return steward(person, action, rule) }
        return PosternError(
            .forbidden, "\(action.rawValue) is for members of the vault, and \(person.email) is none",
            fix: "Have an owner of the vault add you (PUT /api/vaults/{id}/members/{user}).")
    }

    /// An action that no member may, and people from a role of the instance on may in every vault.
    private static func steward(_ person: Person, _ action: Action, _ rule: ActionRule) -> PosternError {
        guard let steward = rule.steward else { return noPeople(action, rule) }
        return PosternError(
            .forbidden,
            "\(action.rawValue) takes the instance role \(steward.rawValue); yours is \(person.role.rawValue)",
            fix: "Ask somebody who has that role.")
    }

    private static func noPeople(_ action: Action, _ rule: ActionRule) -> PosternError {
        let isSending = rule.scopes == .send || rule.isOpenToLogins
        return PosternError(
            .forbidden, "\(action.rawValue) is not for people",
            fix: isSending ? "Issue a key for it (POST /v1/keys), and use that." : "See docs/access.md.")
    }

    static func role(_ person: Person, _ role: VaultRole, _ action: Action, _ rule: ActionRule) -> PosternError {
        guard let least = rule.member else { return steward(person, action, rule) }
        return PosternError(
            .forbidden, "\(action.rawValue) takes the role \(least.rawValue) in the vault; yours is \(role.rawValue)",
            fix: "Ask an owner of the vault.")
    }
}
