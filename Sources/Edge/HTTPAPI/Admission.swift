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
        if case .open(let handle) = endpoint.subject {
            try gate.authorize(.stranger, endpoint.action, on: .open)
            return try await handle(call(Anybody()))
        }
        let principal = try await credentials.principal(
            of: request, from: context.remoteAddress, accepting: endpoint.credentials, at: endpoint.path)
        switch endpoint.subject {
        case .open: preconditionFailure("open endpoints were answered above")
        case .vault(let handle):
            let caller = try await caller(principal, endpoint.action, request, context)
            try await calls.admit(caller.vault)
            return try await handle(call(caller))
        case .namedVault(let handle):
            let person = try person(principal, endpoint.action, context)
            let name = (context.parameters.get("id") ?? "").percentDecoded ?? ""
            let vault = try await visible(name, to: person)
            try await ask(.person(person), endpoint.action, vault.id, context)
            return try await handle(call(person), vault)
        case .instance(let handle):
            let person = try person(principal, endpoint.action, context)
            try ask(.person(person), endpoint.action, on: .instance, context)
            return try await handle(call(person))
        case .account(let handle):
            let person = try person(principal, endpoint.action, context)
            try ask(.person(person), endpoint.action, on: .account, context)
            return try await handle(call(person))
        }
    }

    /// A caller who showed a key in a provider's own way.
    func admit(_ caller: Caller, _ action: Action, _ context: APIContext) async throws {
        try await ask(.caller(caller), action, caller.vault, context)
        try await calls.admit(caller.vault)
    }

    /// The caller in the vault that the request is about.
    private func caller(
        _ principal: Principal,
        _ action: Action,
        _ request: Request,
        _ context: APIContext
    ) async throws -> Caller {
        let named = request.headers[.vault]
        switch principal {
        case .stranger: throw PosternError(.unauthorized, "nobody is signed in")
        case .caller(let caller):
            // A key has its vault; naming another one is asking for what is not there.
            if let named, try await vaults.find(named)?.id != caller.vault { throw Self.absent }
            try await ask(principal, action, caller.vault, context)
            return caller
        case .person(let person):
            let vault = try await vault(named, of: person)
            try await ask(principal, action, vault, context)
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

    private func person(_ principal: Principal, _ action: Action, _ context: APIContext) throws(PosternError) -> Person
    {
        switch principal {
        case .person(let person): return person
        case .caller, .stranger:
            try ask(principal, action, on: .instance, context)
            throw Self.absent
        }
    }

    private func ask(
        _ principal: Principal,
        _ action: Action,
        _ vault: VaultID,
        _ context: APIContext
    ) async throws {
        try ask(principal, action, on: .vault(vault, try await vaults.standing(of: vault)), context)
    }

    private func ask(
        _ principal: Principal,
        _ action: Action,
        on resource: Resource,
        _ context: APIContext
    ) throws(PosternError) {
        do throws(PosternError) {
            try gate.authorize(principal, action, on: resource)
        } catch {
            note(error, principal, action, resource, context)
            throw error
        }
    }

    private func note(
        _ error: PosternError,
        _ principal: Principal,
        _ action: Action,
        _ resource: Resource,
        _ context: APIContext
    ) {
        let name: (id: String, label: String)
        switch principal {
        case .caller(let caller): name = caller.auditName
        case .person(let person): name = person.auditName
        case .stranger: return
        }
        let visit = Visit(
            address: context.remoteAddress, userAgent: nil, requestID: context.requestID, door: Door.http.rawValue)
        let about: (text: String, vault: VaultID?)
        switch resource {
        case .vault(let vault, _):
            // What somebody tries in a vault that is not theirs stands in the instance's log: that vault's owners are told
            // nothing by strangers.
            about = (vault.text, Self.isInside(principal, vault) ? vault : nil)
        case .instance: about = ("instance", nil)
        case .account: about = ("account", nil)
        case .open: about = ("open", nil)
        }
        refusals.note(
            visit.actor(id: name.id, label: name.label), action, resource: about.text, vault: about.vault, error: error)
    }

    private static func isInside(_ principal: Principal, _ vault: VaultID) -> Bool {
        switch principal {
        case .caller(let caller): caller.vault == vault
        case .person(let person): person.memberships[vault] != nil
        case .stranger: false
        }
    }

    private static let absent = PosternError(.notFound, "there is no such thing in this vault")
}
