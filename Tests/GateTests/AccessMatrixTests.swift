// The access matrix of seed 000 §08, cell by cell: five kinds of actors, five surfaces.

import Gate
import Model
import Testing

@Suite("Access matrix of seed 000 §08")
struct AccessMatrixTests {
    enum Surface: String, CaseIterable, Sendable {
        case smtpIngress, gateway, mailerqProxy, outbox, instanceSettings

        var actions: [Action] {
            switch self {
            case .smtpIngress: [.smtpConnect]
            case .gateway: [.messageSend, .messageMap]
            case .mailerqProxy: [.mailerqRead, .mailerqWrite]
            case .outbox: [.routeMailerQ, .queueRead, .queueRepair]
            case .instanceSettings: [.settingsWrite, .instanceRead]
            }
        }
    }

    enum Actor: String, CaseIterable, Sendable {
        case toolBySMTP, toolByAPI, `operator`, vaultOwner, externalTenant
    }

    struct Cell: Sendable {
        let actor: Actor
        let surface: Surface
        /// Of the surface's actions, those that the actor may do.
        let allowed: [Action]

        init(_ actor: Actor, _ surface: Surface, _ allowed: [Action]) {
            self.actor = actor
            self.surface = surface
            self.allowed = allowed
        }
    }

    /// A tool's key has the scopes of the surface ("scoped"); without them it has nothing, which the last test shows.
    static let matrix: [Cell] = [
        Cell(.toolBySMTP, .smtpIngress, [.smtpConnect]),
        Cell(.toolBySMTP, .gateway, [.messageSend, .messageMap]),
        Cell(.toolBySMTP, .mailerqProxy, []),
        Cell(.toolBySMTP, .outbox, [.routeMailerQ]),
        Cell(.toolBySMTP, .instanceSettings, []),

        Cell(.toolByAPI, .smtpIngress, []),
        Cell(.toolByAPI, .gateway, [.messageSend, .messageMap]),
        Cell(.toolByAPI, .mailerqProxy, [.mailerqRead, .mailerqWrite]),
        Cell(.toolByAPI, .outbox, [.routeMailerQ, .queueRead]),
        Cell(.toolByAPI, .instanceSettings, []),

        // Diagnostics: with a key that the operator issues from the vault, so that is `keyWrite`, and then the column before.
        Cell(.operator, .smtpIngress, []),
        Cell(.operator, .gateway, []),
        Cell(.operator, .mailerqProxy, [.mailerqRead]),
        Cell(.operator, .outbox, [.queueRead]),
        Cell(.operator, .instanceSettings, []),

        Cell(.vaultOwner, .smtpIngress, []),
        Cell(.vaultOwner, .gateway, []),
        Cell(.vaultOwner, .mailerqProxy, [.mailerqRead, .mailerqWrite]),
        Cell(.vaultOwner, .outbox, [.queueRead, .queueRepair]),
        Cell(.vaultOwner, .instanceSettings, [.settingsWrite]),

        Cell(.externalTenant, .smtpIngress, []),
        Cell(.externalTenant, .gateway, []),
        Cell(.externalTenant, .mailerqProxy, []),
        Cell(.externalTenant, .outbox, []),
        Cell(.externalTenant, .instanceSettings, []),
    ]

    private let ids = IdentifierGenerator(process: 1, clock: ManualClock())
    private let clock = ManualClock()

    private func person(_ memberships: [VaultID: VaultRole]) -> Person {
        Person(
            id: ids.next(), email: "ann@example.com", name: "Ann", role: .member, memberships: memberships,
            session: ids.next(), method: .secondFactor, authenticatedAt: clock.now(), hasSecondFactor: true)
    }

    private func principals(_ actor: Actor, _ vault: VaultID) -> [Principal] {
        let elsewhere: VaultID = ids.next()
        switch actor {
        case .toolBySMTP:
            return [.caller(Caller(vault: vault, identity: .smtpUser(ids.next()), label: "sendy", scopes: .send))]
        case .toolByAPI:
            return [
                .caller(
                    Caller(
                        vault: vault, identity: .key(ids.next()), label: "odoo",
                        scopes: [.send, .mailerq, .amqp, .read]))
            ]
        case .operator: return [.person(person([vault: .operator]))]
        case .vaultOwner: return [.person(person([vault: .owner]))]
        case .externalTenant:
            return [
                .person(person([elsewhere: .owner])), .person(person([:])), .stranger,
                .caller(Caller(vault: elsewhere, identity: .key(ids.next()), label: "tenant", scopes: .all)),
                .caller(Caller(vault: elsewhere, identity: .smtpUser(ids.next()), label: "tenant", scopes: .send)),
            ]
        }
    }

    private func isAllowed(_ principal: Principal, _ action: Action, _ vault: VaultID) -> Bool {
        let resource: Resource = action == .instanceRead ? .instance : .vault(vault, .unlimited)
        if case .allow = Gate(clock: clock).decide(principal, action, on: resource) { return true }
        return false
    }

    @Test("every cell is there once")
    func completeness() {
        #expect(Self.matrix.count == Actor.allCases.count * Surface.allCases.count)
        for actor in Actor.allCases {
            for surface in Surface.allCases {
                #expect(Self.matrix.count { $0.actor == actor && $0.surface == surface } == 1)
            }
        }
    }

    @Test("every cell holds", arguments: matrix)
    func cell(_ cell: Cell) {
        let vault: VaultID = ids.next()
        for principal in principals(cell.actor, vault) {
            for action in cell.surface.actions {
                #expect(
                    isAllowed(principal, action, vault) == cell.allowed.contains(action), "\(cell.actor) \(action)")
            }
        }
    }

    @Test("a key without the surface's scope has nothing there")
    func scoped() {
        let vault: VaultID = ids.next()
        let sender = Principal.caller(Caller(vault: vault, identity: .key(ids.next()), label: "odoo", scopes: .send))
        for action in Surface.mailerqProxy.actions + Surface.outbox.actions {
            #expect(!isAllowed(sender, action, vault), "\(action)")
        }
    }

    @Test("the switches of the instance are seen by its owner only")
    func instanceOwner() {
        for role in InstanceRole.allCases {
            let person = Person(
                id: ids.next(), email: "o@example.com", name: "O", role: role, memberships: [:], session: ids.next(),
                method: .secondFactor, authenticatedAt: clock.now(), hasSecondFactor: true)
            let decision = Gate(clock: clock).decide(.person(person), .instanceRead, on: .instance)
            if case .allow = decision { #expect(role == .owner) } else { #expect(role != .owner) }
        }
    }
}
