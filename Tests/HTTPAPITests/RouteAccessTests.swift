// Every route against every kind of caller: what the gate's table says is what the router does. A new route is in here by
// itself, with its action; an action without a rule does not compile, and one whose row changes fails in GateTests.

import CoreTestSupport
import Gate
import HTTPTypes
import JSON
import Model
import Sealing
import Store
import Testing

@testable import HTTPAPI

@Suite("Access to every route")
struct RouteAccessTests {
    /// Somebody at the door, and who the gate is to think that is.
    private struct Visitor {
        let name: String
        let authorization: OpenDoor.Authorization
        let principal: Principal

        func isOutside(_ vault: VaultID) -> Bool {
            if case .person(let person) = principal { person.memberships[vault] == nil } else { false }
        }
    }

    private func visitors(_ door: OpenDoor) async throws -> [Visitor] {
        let house = door.house
        let vault = house.vault.id
        let (other, _) = try await house.neighbour()
        var visitors: [Visitor] = [Visitor(name: "stranger", authorization: .none, principal: .stranger)]
        for scopes in [Scopes.send, .mailerq, .amqp, .read, .admin] {
            let request = CallerDirectory.KeyRequest(label: "k\(scopes.rawValue)", kind: .tool, scopes: scopes)
            let (key, text) = try await house.callers.issueKey(request, in: vault)
            visitors.append(
                Visitor(
                    name: "key \(scopes.stored)", authorization: .field("Bearer \(text.reveal())"),
                    principal: .caller(key.caller)))
        }
        var narrow = CallerDirectory.KeyRequest(label: "x-1", kind: .tool, scopes: .all, isReadOnly: true)
        narrow.labelPrefix = "x-"
        let (key, text) = try await house.callers.issueKey(narrow, in: vault)
        visitors.append(
            Visitor(
                name: "narrowed key", authorization: .field("Bearer \(text.reveal())"), principal: .caller(key.caller)))
        let (user, password) = try await house.callers.addUser(username: "printer", label: "printer", in: vault)
        visitors.append(
            Visitor(
                name: "login", authorization: .basic("\(user.username):\(password.reveal())"),
                principal: .caller(user.caller)))
        for role in InstanceRole.allCases {
            let (person, token) = try await door.signIn(role, in: [:])
            visitors.append(
                Visitor(
                    name: "instance \(role.rawValue)", authorization: .field("Bearer \(token)"),
                    principal: .person(person)))
        }
        for role in VaultRole.allCases {
            let (person, token) = try await door.signIn(.member, in: [vault: role])
            visitors.append(
                Visitor(
                    name: "vault \(role.rawValue)", authorization: .field("Bearer \(token)"), principal: .person(person)
                )
            )
        }
        let (tenant, token) = try await door.signIn(.member, in: [other.id: .owner])
        visitors.append(Visitor(name: "tenant", authorization: .field("Bearer \(token)"), principal: .person(tenant)))
        return visitors
    }

    private func isExpected(_ visitor: Visitor, _ endpoint: Endpoint, _ vault: VaultID) -> Bool {
        let resource: Resource
        switch endpoint.subject {
        case .open: return true
        case .vault:
            resource = .vault(vault, .unlimited)
            // Looking after vaults is not being in one.
            if case .person(let person) = visitor.principal, person.memberships[vault] == nil { return false }
        case .namedVault:
            resource = .vault(vault, .unlimited)
            if case .caller = visitor.principal { return false }
        case .instance: resource = .instance
        case .account: resource = .account
        }
        if case .caller(let caller) = visitor.principal, case .smtpUser = caller.identity,
            endpoint.credentials != .keyOrLogin
        {
            return false
        }
        if case .allow = Gate().decide(visitor.principal, endpoint.action, on: resource) { return true }
        return false
    }

    @Test("the router refuses whom the table refuses, and lets look whom the table lets look")
    func refusals() async throws {
        // Nothing changes in here, so that one house does for all.
        try await withDoor { door in
            let vault = door.house.vault
            let visitors = try await visitors(door)
            for endpoint in door.api.endpoints where !endpoint.isOpen {
                for visitor in visitors {
                    let isLetIn = isExpected(visitor, endpoint, vault.id)
                    guard !isLetIn || endpoint.method == .get else { continue }
                    let answer = try await knock(door, endpoint, visitor, vault)
                    let what = "\(endpoint.method) \(endpoint.path): \(visitor.name) got \(answer.status)"
                    if isLetIn {
                        #expect(![401, 403].contains(answer.status), "\(what)")
                    } else {
                        // Only who has nothing to do with the vault hears that there is none; everybody else a plain no.
                        let isOutside = visitor.isOutside(vault.id) && (endpoint.isNamed || endpoint.isInVault)
                        #expect([401, 403].contains(answer.status) || isOutside && answer.status == 404, "\(what)")
                    }
                }
            }
        }
    }

    @Test("the router lets change whom the table lets change")
    func changes() async throws {
        var count = 0
        try await withDoor { door in count = try await visitors(door).count }
        // A house for each visitor: what one changes must not change what another may. What ends things comes last.
        for number in 0..<count {
            try await withDoor { door in
                let vault = door.house.vault
                let visitor = try await visitors(door)[number]
                let endpoints = door.api.endpoints.filter { !$0.isOpen && $0.method != .get }
                for endpoint in endpoints.filter({ !$0.isEnding }) + endpoints.filter(\.isEnding)
                where isExpected(visitor, endpoint, vault.id) {
                    let answer = try await knock(door, endpoint, visitor, vault)
                    #expect(
                        ![401, 403].contains(answer.status),
                        "\(endpoint.method) \(endpoint.path): \(visitor.name) got \(answer.status)")
                }
            }
        }
    }

    private func knock(
        _ door: OpenDoor,
        _ endpoint: Endpoint,
        _ visitor: Visitor,
        _ vault: Vault
    ) async throws -> Answer {
        let path = endpoint.path.replacingOccurrences("{id}", with: endpoint.isNamed ? vault.slug : "none")
            .replacingOccurrences("{", with: "").replacingOccurrences("}", with: "")
        return try await door.call(
            endpoint.method, path, authorization: visitor.authorization,
            headers: endpoint.isInVault ? [.vault: vault.id.text] : [:], endpoint.method == .get ? "" : "[]")
    }

    @Test("each route names an action whose rule fits what the route is about")
    func actions() async throws {
        try await withDoor { door in
            for endpoint in door.api.endpoints {
                let rule = endpoint.action.rule
                let what = "\(endpoint.method) \(endpoint.path)"
                switch endpoint.subject {
                case .open: #expect(rule.isOpen, "\(what)")
                case .account: #expect(rule.isOwn, "\(what)")
                case .instance: #expect(rule.instance != nil, "\(what)")
                case .namedVault: #expect(rule.member != nil || rule.steward != nil, "\(what)")
                case .vault: #expect(rule.scopes != nil || rule.member != nil, "\(what)")
                }
                let isLooking = endpoint.method == .get || endpoint.action == .messageMap
                if !isLooking { #expect(!rule.changesNothing, "\(what)") }
                if endpoint.method == .get { #expect(rule.changesNothing || rule.isOpen, "\(what)") }
            }
        }
    }

    @Test("what is under /api answers under /api/engine as well")
    func engine() async throws {
        try await withDoor { door in
            let (_, token) = try await door.signIn(.owner, in: [:])
            for path in ["/api/users", "/api/engine/users", "/api/vaults", "/api/engine/vaults"] {
                #expect(
                    try await door.call(.get, path, authorization: .field("Bearer \(token)")).status == 200, "\(path)")
            }
        }
    }
}

extension Endpoint {
    fileprivate var isNamed: Bool { if case .namedVault = subject { true } else { false } }
    fileprivate var isOpen: Bool { if case .open = subject { true } else { false } }
    /// Whether it takes away what others need: a vault's life, the visitor's own session.
    fileprivate var isEnding: Bool {
        [.vaultSuspend, .vaultArchive, .vaultDelete, .sessionEnd, .accountSecure].contains(action)
    }
    fileprivate var isInVault: Bool { if case .vault = subject { true } else { false } }
}

extension String {
    fileprivate func replacingOccurrences(_ text: String, with other: String) -> String {
        split(separator: text, omittingEmptySubsequences: false).joined(separator: other)
    }
}
