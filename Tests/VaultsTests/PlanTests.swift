// Plans: seed 004's table as it is shipped, what an edit changes, what a vault has in its place, and what stands at the limit.

import CoreTestSupport
import Gate
import JSON
import Logging
import Model
import Rates
import SQL
import Store
import TestSupport
import Testing
import Vaults

@Suite("Plans")
struct PlanTests {
    /// A row of seed 004's table: the four plans from free to self-hosted; `nil` is unlimited.
    static let table: [(PlanLimit, [Int?])] = [
        (.agents, [3, 25, nil, nil]),
        (.users, [5, 50, nil, nil]),
        (.knowledgeBases, [1, 10, 999, 999]),
        (.storageBytes, [100_000_000, 5_000_000_000, 100_000_000_000, nil]),
        (.tokensPerMonth, [1_000_000, 10_000_000, nil, nil]),
        // The seed's 999 for one's own server stands for no limit.
        (.callsPerMinute, [30, 120, 600, nil]),
        (.auditRetentionDays, [30, 90, 365, 365]),
        (.documentsPerBase, [10, 100, 10_000, 10_000]),
    ]

    @Test("the shipped plans are the seed's table", arguments: table.indices)
    func shipped(_ row: Int) {
        #expect(ShippedPlans.all.map(\.name) == ["free", "team", "enterprise", "self_hosted"])
        #expect(ShippedPlans.all.map { $0.limits[Self.table[row].0] } == Self.table[row].1)
        #expect(Set(Self.table.map(\.0)) == Set(PlanLimit.allCases))
    }

    @Test("the seed's features: none, the team's, and all that there are")
    func features() {
        let all = ShippedPlans.all.map(\.features)
        #expect(all[0].isEmpty)
        #expect(all[1] == [.singleSignOn, .auditExport, .webhooks, .approvalWorkflows, .customSkills])
        #expect(all[2] == Set(PlanFeature.allCases) && all[3] == Set(PlanFeature.allCases))
        #expect(ShippedPlans.all.map { $0.deployTargets?.count } == [2, 5, nil, nil])
    }

    @Test("an edited plan holds at once for its vaults, and can be taken back", arguments: TestEngine.all)
    func editing(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (id, audit) = (house.vault.id, house.audit(as: "plan.write"))
            let vault = try await house.vaults.changePlan(id, to: "free", limits: PlanLimitChanges(), audit: audit)
            #expect(vault.plan == "free")
            #expect(try await house.vaults.limits(of: id)[.users] == 5)
            #expect(try await house.vaults.standing(of: id).features == [])
            let edited = Plan(
                name: "free", limits: PlanLimits([.users: 7]), features: [.webhooks], deployTargets: ["local"])
            #expect(try await !house.vaults.setPlan(edited, audit: audit))
            #expect(try await house.vaults.limits(of: id)[.users] == 7)
            #expect(try await house.vaults.limits(of: id)[.agents] == nil)
            #expect(try await house.vaults.standing(of: id).features == [.webhooks])
            let found = try await house.vaults.plan("free")
            #expect(found?.limits == edited.limits && found?.deployTargets == ["local"] && found?.updatedAt != nil)
            #expect(try await house.vaults.allPlans().map(\.name) == ["free", "team", "enterprise", "self_hosted"])
            #expect(try await house.vaults.deletePlan("free", audit: audit))
            #expect(try await house.vaults.plan("free") == ShippedPlans.plan("free"))
            #expect(try await house.vaults.limits(of: id)[.users] == 5)
            #expect(try await house.actions(in: "instance", of: "plan:free") == ["plan.write", "plan.write"])
        }
    }

    @Test("a plan of one's own goes only when no vault has it")
    func ownPlans() async throws {
        try await withHouse { house in
            let audit = house.audit(as: "plan.write")
            let own = Plan(name: "small", limits: PlanLimits([.agents: 1]), features: [], deployTargets: nil)
            #expect(try await house.vaults.setPlan(own, audit: audit))
            _ = try await house.vaults.changePlan(house.vault.id, to: "small", limits: PlanLimitChanges(), audit: audit)
            let error = await #expect(throws: PosternError.self) {
                _ = try await house.vaults.deletePlan("small", audit: audit)
            }
            #expect(error?.code == .conflict)
            _ = try await house.vaults.changePlan(house.vault.id, to: "team", limits: PlanLimitChanges(), audit: audit)
            #expect(try await house.vaults.deletePlan("small", audit: audit))
            #expect(try await !house.vaults.deletePlan("small", audit: audit))
            let unknown = await #expect(throws: PosternError.self) {
                _ = try await house.vaults.changePlan(
                    house.vault.id, to: "small", limits: PlanLimitChanges(), audit: audit)
            }
            #expect(unknown?.problems.map(\.pointer) == ["/plan"])
        }
    }

    @Test("what a vault has in its plan's place is more, less, or no limit at all", arguments: TestEngine.all)
    func overrides(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            _ = try await house.vaults.changePlan(
                house.vault.id, to: "free", limits: PlanLimitChanges([.users: 100, .agents: nil, .storageBytes: 0]),
                audit: house.audit(as: "vault.plan"))
            house.vaults.invalidateAll()
            let limits = try await house.vaults.limits(of: house.vault.id)
            #expect(limits[.users] == 100 && limits[.agents] == nil && limits[.storageBytes] == 0)
            #expect(limits[.callsPerMinute] == 30)
            let vault = try await house.vaults.find("default")
            #expect(vault?.limits == PlanLimitChanges([.users: 100, .agents: nil, .storageBytes: 0]))
        }
    }

    @Test(
        "the audit log is kept for 30 days at least, and 0 is no way to keep it for ever",
        arguments: [
            ("0", false), ("1", false), ("29", false), ("-1", false), ("30", true), ("36500", true), ("null", true),
        ])
    func auditFloor(_ text: String, _ isGood: Bool) throws {
        var reader = JSONReader(try JSONParser.parse(#"{"audit_retention_days":\#(text),"users":0}"#))
        let limits = PlanLimitChanges(&reader)
        #expect(reader.problems.isEmpty == isGood)
        #expect(limits.values.keys.contains(.auditRetentionDays) == isGood)
        #expect(limits.values[.users] == 0)
    }

    @Test(
        "what cannot be read allows nothing: no limit comes of a mistake",
        arguments: [#"{"users":"many"}"#, "{", "[]", #"{"users":-1}"#, #"{"users":1.5}"#])
    func unreadable(_ text: String) async throws {
        try await withHouse { house in
            try await house.database.write { connection in
                try connection.execute("UPDATE vaults SET limits = \(text)")
            }
            house.vaults.invalidateAll()
            #expect(try await house.vaults.limits(of: house.vault.id)[.users] == 0)
            try await house.database.write { connection in
                try connection.execute("UPDATE vaults SET limits = NULL, plan = 'gone'")
            }
            house.vaults.invalidateAll()
            #expect(try await house.vaults.limits(of: house.vault.id) == .none)
            #expect(try await house.vaults.standing(of: house.vault.id).features == [])
        }
    }

    @Test("one agent more than the plan has room for is none, also of two at once", arguments: TestEngine.all)
    func agents(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            _ = try await house.vaults.changePlan(
                house.vault.id, to: "free", limits: PlanLimitChanges(), audit: house.audit(as: "vault.plan"))
            let agent = CallerDirectory.KeyRequest(label: "agent", kind: .agent, scopes: .send)
            let keys = await withTaskGroup(of: KeyID?.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        do {
                            return try await house.callers.issueKey(
                                agent, by: nil, in: house.vault.id, audit: house.audit(as: "key.write")
                            ).key.id
                        } catch {
                            #expect((error as? PosternError)?.code == .planLimitReached)
                            return nil
                        }
                    }
                }
                return await group.reduce(into: [KeyID]()) { if let id = $1 { $0.append(id) } }
            }
            #expect(keys.count == 3)
            // Tools are no agents, and an agent that ended leaves its place.
            let tool = CallerDirectory.KeyRequest(label: "tool", kind: .tool, scopes: .send)
            _ = try await house.callers.issueKey(tool, by: nil, in: house.vault.id, audit: house.audit(as: "key.write"))
            try await house.callers.revokeKey(
                try #require(keys.first), by: nil, in: house.vault.id, audit: house.audit(as: "key.write"))
            _ = try await house.callers.issueKey(
                agent, by: nil, in: house.vault.id, audit: house.audit(as: "key.write"))
            let usage = try await house.vaults.usage(of: house.vault.id)
            #expect(usage.agents == 3 && usage.users == 0)
        }
    }
}

@Suite("Calls a minute")
struct CallMeterTests {
    @Test(
        "a plan's calls a minute hold, for all processes together, and come back with time", arguments: TestEngine.all)
    func limited(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            _ = try await house.vaults.changePlan(
                house.vault.id, to: "free", limits: PlanLimitChanges(), audit: house.audit(as: "vault.plan"))
            let usage = house.recorder
            let meters = (0..<2).map { _ in
                CallMeter(
                    vaults: house.vaults,
                    limiter: RateLimiter(
                        database: house.database, isShared: true, clock: house.clock, logger: .init(label: "tests")),
                    usage: usage)
            }
            var admitted = 0
            for turn in 0..<80 where await (try? meters[turn % 2].admit(house.vault.id)) != nil { admitted += 1 }
            #expect(admitted == 30)
            let error = await #expect(throws: PosternError.self) { try await meters[0].admit(house.vault.id) }
            #expect(error?.code == .rateLimited && error?.retryAfter == 2)
            #expect(error?.detail.contains("30 requests a minute") == true)
            house.clock.advance(seconds: 60)
            for _ in 0..<30 { try await meters[0].admit(house.vault.id) }
            await usage.flush()
            #expect(try await house.vaults.usage(of: house.vault.id).months.first?.calls == 60)
        }
    }

    @Test("a vault without a limit writes nothing for a call, and a limit of none admits none")
    func unlimited() async throws {
        try await withHouse { house in
            let database = ScriptedDatabase(house.database)
            let meter = CallMeter(
                vaults: house.vaults,
                limiter: RateLimiter(
                    database: database, isShared: true, clock: house.clock, logger: .init(label: "tests")),
                usage: house.recorder)
            for _ in 0..<1_000 { try await meter.admit(house.vault.id) }
            #expect(database.writeCount == 0)
            _ = try await house.vaults.changePlan(
                house.vault.id, to: "free", limits: PlanLimitChanges([.callsPerMinute: 0]),
                audit: house.audit(as: "vault.plan"))
            let error = await #expect(throws: PosternError.self) { try await meter.admit(house.vault.id) }
            #expect(error?.code == .planLimitReached)
        }
    }
}
