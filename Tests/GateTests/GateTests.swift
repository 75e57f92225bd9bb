// The gate as a table: every action against every set of scopes, with and without the right to change things.

import Gate
import Model
import Testing

@Suite("Gate")
struct GateTests {
    private let ids = IdentifierGenerator(process: 1, clock: ManualClock())

    private func caller(_ scopes: Scopes, isReadOnly: Bool = false, in vault: VaultID) -> Caller {
        Caller(vault: vault, identity: .key(ids.next()), label: "robot", scopes: scopes, isReadOnly: isReadOnly)
    }

    /// What each action takes: any one of the scopes; `changes` is what a read-only caller may not do.
    static let table: [(action: Action, scopes: Scopes, changes: Bool)] = [
        (.messageSend, .send, true),
        (.messageMap, .send, false),
        (.messageRead, [.read, .admin], false),
        (.messageCancel, [.send, .admin], true),
        (.messageRetry, [.send, .admin], true),
        (.keyRead, [.read, .admin], false),
        (.keyWrite, .admin, true),
        (.smtpUserRead, [.read, .admin], false),
        (.smtpUserWrite, .admin, true),
        (.settingsRead, [.read, .admin], false),
        (.settingsWrite, .admin, true),
        (.poolRead, [.read, .admin], false),
        (.poolWrite, .admin, true),
        (.queueRead, [.amqp, .admin], false),
        (.queueRepair, .admin, true),
        (.orphanRead, .admin, false),
        (.mailerqRead, .mailerq, false),
        (.mailerqWrite, .mailerq, true),
        (.alertRead, [.read, .admin], false),
        (.auditRead, .admin, false),
        (.secretRead, .admin, false),
        (.secretWrite, .admin, true),
        (.routeMailerQ, .amqp, true),
        (.routeMailerQHTTP, .mailerq, true),
        (.selfRead, [], false),
    ]

    @Test("the table holds every action once")
    func completeness() {
        #expect(Self.table.map(\.action) == Action.allCases)
    }

    @Test("each action is allowed to exactly those sets of scopes that hold one of its own", arguments: table)
    func everySetOfScopes(_ action: Action, _ allowed: Scopes, _ changes: Bool) {
        let vault: VaultID = ids.next()
        for rawValue in 0..<32 {
            let scopes = Scopes(rawValue: rawValue)
            for isReadOnly in [false, true] {
                let mayAct = (allowed.isEmpty || !scopes.isDisjoint(with: allowed)) && !(isReadOnly && changes)
                let result = Result { () throws(PosternError) in
                    try Gate().authorize(caller(scopes, isReadOnly: isReadOnly, in: vault), action, in: vault)
                }
                switch result {
                case .success: #expect(mayAct, "\(action) for \(scopes.stored), read-only: \(isReadOnly)")
                case .failure(let error):
                    #expect(!mayAct, "\(action) for \(scopes.stored), read-only: \(isReadOnly)")
                    #expect(error.code == .forbidden)
                }
            }
        }
    }

    @Test("a caller that is narrowed to labels has to do with labelled things only, whatever its scopes")
    func labels() {
        let vault: VaultID = ids.next()
        var narrowed = caller(.all, in: vault)
        narrowed.labelPrefix = "bill-"
        let labelled: [Action] = [
            .messageSend, .messageMap, .messageRead, .messageCancel, .messageRetry, .keyRead, .keyWrite, .smtpUserRead,
            .smtpUserWrite, .routeMailerQ, .routeMailerQHTTP, .selfRead,
        ]
        for action in Action.allCases {
            let isAllowed = (try? Gate().authorize(narrowed, action, in: vault)) != nil
            #expect(isAllowed == labelled.contains(action), "\(action)")
        }
    }

    @Test("who is bound in what it sends does not send the backlog of others")
    func repair() {
        let vault: VaultID = ids.next()
        let free = caller(.all, in: vault)
        #expect((try? Gate().authorize(free, .queueRepair, in: vault)) != nil)
        var agent = free
        agent.agent = ids.next()
        var narrowed = free
        narrowed.senderDomains = [DomainPattern("acme.com")].compactMap { $0 }
        var limited = free
        limited.limits = [KeyRateLimit(key: ids.next(), limit: RateLimit(perHour: 1, burst: 1))]
        for bound in [agent, narrowed, limited] {
            #expect((try? Gate().authorize(bound, .queueRepair, in: vault)) == nil)
            #expect((try? Gate().authorize(bound, .messageSend, in: vault)) != nil)
        }
    }

    @Test("a login's mail takes whatever route the vault chose, at home only, and nothing else without its scope")
    func logins() {
        let (home, other): (VaultID, VaultID) = (ids.next(), ids.next())
        let login = Caller(vault: home, identity: .smtpUser(ids.next()), label: "printer", scopes: .send)
        for action in Action.allCases {
            let isAllowed = [
                .messageSend, .messageMap, .messageCancel, .messageRetry, .selfRead, .routeMailerQ, .routeMailerQHTTP,
            ].contains(action)
            #expect(((try? Gate().authorize(login, action, in: home)) != nil) == isAllowed, "\(action)")
            #expect((try? Gate().authorize(login, action, in: other)) == nil, "\(action)")
        }
    }

    @Test("another vault's things are not found, whatever the caller may do at home", arguments: Action.allCases)
    func crossVault(_ action: Action) {
        let (home, other): (VaultID, VaultID) = (ids.next(), ids.next())
        for isReadOnly in [false, true] {
            for scopes in [Scopes.all, []] {
                let error = #expect(throws: PosternError.self) {
                    try Gate().authorize(caller(scopes, isReadOnly: isReadOnly, in: home), action, in: other)
                }
                #expect(error?.code == .notFound)
                #expect(error?.description.contains(other.text) == false)
            }
        }
    }

    @Test("a refusal names the caller, the action and the scope that would do")
    func refusals() {
        let vault: VaultID = ids.next()
        let error = #expect(throws: PosternError.self) {
            try Gate().authorize(caller(.send, in: vault), .settingsRead, in: vault)
        }
        #expect(error?.detail.contains("robot") == true)
        #expect(error?.detail.contains("settings.read") == true)
        #expect(error?.fix.contains("read or admin") == true)
    }
}
