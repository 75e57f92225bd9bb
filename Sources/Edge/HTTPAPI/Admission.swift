// The way in for every request: who is it, which vault is it about, and what does the gate say. Refusals are written down.

import Audit
import Gate
import HTTPTypes
import Hummingbird
import Model
import People
import Sealing
import Store
import Vaults

struct Admission: Sendable {
    let credentials: CredentialReader
    let gate: Gate
    let vaults: VaultDirectory
    let calls: CallMeter
    let refusals: RefusalRecorder
    let clock: any WallClock
    let ids: IdentifierGenerator

    /// Lets a request through to its endpoint, or throws.
    func answer(_ request: Request, _ context: APIContext, _ endpoint: Endpoint) async throws -> Response {
        func call<Who>(_ who: Who) -> Asking<Who> {
            Asking(request: request, context: context, who: who, clock: clock, ids: ids)
        }
        // The router makes HEAD of every GET; what leaves a trace is not done for an answer without a body.
        if request.method == .head, !endpoint.action.rule.obligations.isEmpty {
            throw HTTPError(.methodNotAllowed, headers: [.allow: endpoint.method.rawValue])
        }
        if case .open(let handle) = endpoint.subject {
            try gate.authorize(.stranger, endpoint.action, on: .open)
            return try await handle(call(Anybody()))
        }
        let principal = try await credentials.principal(
            of: request, from: context.remoteAddress, accepting: endpoint.credentials, at: endpoint.path)
        var attempt = Attempt(principal, endpoint.action)
        do {
            switch endpoint.subject {
            case .open: preconditionFailure("open endpoints were answered above")
            case .vault(let handle):
                let caller = try await caller(&attempt, named: request.headers[.vault])
                try await calls.admit(caller.vault)
                attempt.isInside = true
                return try await handle(call(caller))
            case .namedVault(let handle):
                let person = try attempt.person(gate)
                let name = (context.parameters.get("id") ?? "").percentDecoded ?? ""
                attempt.resource = String(name.prefix(100))
                let vault = try await visible(name, to: person)
                try await ask(&attempt, vault.id)
                attempt.isInside = true
                return try await handle(call(person), vault)
            case .instance(let handle):
                let person = try attempt.person(gate)
                if let id = context.parameters.get("id") { attempt.resource = String(id.prefix(100)) }
                try gate.authorize(principal, endpoint.action, on: .instance)
                attempt.isInside = true
                return try await handle(call(person))
            case .account(let handle):
                let person = try attempt.person(gate)
                attempt.resource = "account"
                try gate.authorize(principal, endpoint.action, on: .account)
                attempt.isInside = true
                return try await handle(call(person))
            }
        } catch let error as PosternError {
            note(error, attempt, context)
            throw error
        }
    }

    /// A caller who showed a key in a provider's own way.
    func admit(_ caller: Caller, _ action: Action, _ context: APIContext) async throws {
        var attempt = Attempt(.caller(caller), action)
        do {
            try await ask(&attempt, caller.vault)
            try await calls.admit(caller.vault)
        } catch let error as PosternError {
            note(error, attempt, context)
            throw error
        }
    }

    /// The caller in the vault that the request is about.
    private func caller(_ attempt: inout Attempt, named: String?) async throws -> Caller {
        if let named { attempt.resource = String(named.prefix(100)) }
        switch attempt.principal {
        case .stranger: throw PosternError(.unauthorized, "nobody is signed in")
        case .caller(let caller):
            // A key has its vault; naming another one is asking for what is not there.
            if let named, try await vaults.find(named)?.id != caller.vault { throw Self.absent }
            try await ask(&attempt, caller.vault)
            return caller
        case .person(let person):
            let vault = try await vault(named, of: person)
            try await ask(&attempt, vault)
            // Looking after vaults is not being in them: that is what /api/vaults is for.
            guard let caller = person.caller(in: vault) else { throw Self.absent }
            return caller
        }
    }

    /// The vault that a person means: the one named, else the only one that they are a member of.
    private func vault(_ named: String?, of person: Person) async throws -> VaultID {
        if let named { return try await visible(named, to: person).id }
        guard let only = person.memberships.keys.first, person.memberships.count == 1 else {
            throw PosternError(
                .vaultRequired,
                person.memberships.isEmpty
                    ? "\(person.email) is a member of no vault" : "\(person.email) is a member of several vaults",
                fix: person.memberships.isEmpty ? "Have an owner of a vault add you." : nil)
        }
        return only
    }

    /// - Throws: `not_found` alike for what is not there and for what the person has nothing to do with, at the same point.
    private func visible(_ name: String, to person: Person) async throws -> Vault {
        guard let vault = try await vaults.find(name), person.memberships[vault.id] != nil || person.role >= .admin
        else {
            throw Self.absent
        }
        return vault
    }

    private func ask(_ attempt: inout Attempt, _ vault: VaultID) async throws {
        attempt.resource = vault.text
        // What somebody tries in a vault that is not theirs stands in the instance's log: that vault's owners are told nothing
        // by strangers.
        attempt.vault = attempt.principal.isInside(vault) ? vault : nil
        let standing = try await vaults.standing(of: vault)
        try gate.authorize(attempt.principal, attempt.action, on: .vault(vault, standing))
    }

    private func note(_ error: PosternError, _ attempt: Attempt, _ context: APIContext) {
        guard attempt.isWorthNoting(error), let name = attempt.principal.auditName else { return }
        let visit = Visit(
            address: context.remoteAddress, userAgent: nil, requestID: context.requestID, door: Door.http.rawValue)
        refusals.note(
            visit.actor(id: name.id, label: name.label), attempt.action, resource: attempt.resource,
            vault: attempt.vault, error: error)
    }

    private static let absent = PosternError(.notFound, "there is no such thing in this vault")
}

/// What somebody known tries, as far as it has become clear.
private struct Attempt {
    let principal: Principal
    let action: Action
    var resource = "instance"
    /// The vault in whose log a refusal stands; `nil`: the instance's.
    var vault: VaultID?
    /// Whether the gate has said yes: what is refused from then on, the endpoint refuses.
    var isInside = false

    init(_ principal: Principal, _ action: Action) {
        self.principal = principal
        self.action = action
    }

    /// - Throws: what the gate says of keys and logins, where only people are meant.
    func person(_ gate: Gate) throws(PosternError) -> Person {
        if case .person(let person) = principal { return person }
        try gate.authorize(principal, action, on: .instance)
        throw PosternError(.unauthorized, "nobody is signed in")
    }

    /// Refusals of a right, and not of a mistyped request.
    func isWorthNoting(_ error: PosternError) -> Bool {
        switch error.code {
        case .forbidden, .lastOwner, .planLimitReached, .featureNotInPlan, .reauthenticationRequired, .vaultSuspended,
            .vaultArchived, .senderDomainNotAllowed, .approvalRequired:
            true
        // Inside, an id that is not there is most often a mistake; outside, it is somebody else's vault.
        case .notFound: !isInside
        default: false
        }
    }
}

extension Principal {
    fileprivate var auditName: (id: String, label: String)? {
        switch self {
        case .caller(let caller): caller.auditName
        case .person(let person): person.auditName
        case .stranger: nil
        }
    }

    fileprivate func isInside(_ vault: VaultID) -> Bool {
        switch self {
        case .caller(let caller): caller.vault == vault
        case .person(let person): person.memberships[vault] != nil
        case .stranger: false
        }
    }
}
