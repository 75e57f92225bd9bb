// Members of vaults: who makes them, who takes them out, and that a vault keeps somebody who looks after it.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing
import Vaults

@testable import People

@Suite("Members of a vault")
struct MembershipTests {
    @Test("a vault's owner gives roles, changes them and takes them away; each step stands in that vault's log alone")
    func lifecycle() async throws {
        try await withMembers { people in
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            let other = try await people.house.neighbour().vault.id
            let member = try await people.person("mia", .member)
            try await people.setMember(member, .viewer, by: keeper)
            try await people.setMember(member, .operator, by: keeper)
            let members = try await people.directory.members(in: people.vault, page: Page())
            #expect(members.map(\.user.name) == ["kim", "mia"])
            #expect(members.map(\.membership.role) == [.owner, .operator])
            #expect(try await people.again(member.id).memberships == [people.vault: .operator])
            #expect(try await people.directory.members(in: other, page: Page()).isEmpty)
            try await people.removeMember(member, by: keeper)
            #expect(try await refusal { try await people.removeMember(member, by: keeper) } == .notFound)
            let log = try await people.log().filter { $0.contains(" member.write kim@example.org \(member.id.text)") }
            #expect(log.count == 3 && log.allSatisfy { $0.hasPrefix(people.vault.text) })
            #expect(log[0].contains(" - {") && log[2].hasSuffix("} -"))
            #expect(log[1].contains(#""role":"viewer""#) && log[1].contains(#""role":"operator""#))
        }
    }

    @Test("what an owner of the instance does in a vault that is not theirs stands in the instance's log as well")
    func outsiders() async throws {
        try await withMembers { people in
            let head = try await people.person("kim", .owner)
            try await people.setMember(head, .owner, by: head)
            let log = try await people.log().filter { $0.contains(" member.write kim@example.org \(head.id.text)") }
            #expect(log.count == 2)
            #expect(log.count { $0.hasPrefix(people.vault.text) } == 1)
            #expect(log.last { !$0.hasPrefix(people.vault.text) }?.contains(people.vault.text) == true)
        }
    }

    @Test("a membership counts at the next request, and its end as well")
    func atOnce() async throws {
        try await withMembers { people in
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            let member = try await people.person("mia", .member)
            let session = try await people.session(of: member)
            #expect(try await people.sessions.person(cookie: session.cookie).memberships.isEmpty)
            try await people.setMember(member, .viewer, by: keeper)
            #expect(try await people.sessions.person(cookie: session.cookie).memberships == [people.vault: .viewer])
            try await people.removeMember(member, by: keeper)
            #expect(try await people.sessions.person(cookie: session.cookie).memberships.isEmpty)
        }
    }

    @Test("who lost the right to it a moment ago changes nothing, and neither do people of another vault or admins")
    func outdated() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            let member = try await people.person("mia", .member)
            let stranger = try await people.person(
                "sam", .member, in: [people.house.neighbour().vault.id: .owner])
            let admin = try await people.person("adam", .admin, in: [people.vault: .operator])
            try await people.setMember(keeper, .operator, by: owner)
            for asker in [keeper, stranger, admin] {
                #expect(try await refusal { try await people.setMember(member, .owner, by: asker) } == .forbidden)
                #expect(try await refusal { try await people.setMember(asker, .owner, by: asker) } == .forbidden)
                #expect(try await refusal { try await people.removeMember(keeper, by: asker) } == .forbidden)
            }
            #expect(try await people.again(member.id).memberships.isEmpty)
            #expect(try await people.again(keeper.id).memberships == [people.vault: .operator])
            try await people.change(owner, role: .admin, by: people.person("otto", .owner))
            #expect(try await refusal { try await people.setMember(owner, .owner, by: owner) } == .forbidden)
        }
    }

    @Test("a vault's last owner stays one, unless an owner of the instance says otherwise")
    func lastOwner() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            // Who is disabled looks after nothing.
            let asleep = try await people.person("dora", .member, in: [people.vault: .owner])
            try await people.change(asleep, isActive: false, by: owner)
            #expect(try await refusal { try await people.setMember(keeper, .viewer, by: keeper) } == .lastOwner)
            #expect(try await refusal { try await people.removeMember(keeper, by: keeper) } == .lastOwner)
            try await people.setMember(keeper, .owner, by: keeper)
            try await people.removeMember(asleep, by: keeper)
            try await people.setMember(keeper, .viewer, by: owner)
            try await people.removeMember(keeper, by: owner)
            #expect(try await people.directory.members(in: people.vault, page: Page()).isEmpty)
        }
    }

    @Test(
        "of two owners of a vault who leave at the same moment, or throw each other out, one stays",
        arguments: TestEngine.all, [true, false])
    func twoAtOnce(_ engine: TestEngine, _ isLeaving: Bool) async throws {
        try await withMembers(engine) { people in
            let first = try await people.person("kim", .member, in: [people.vault: .owner])
            let second = try await people.person("kai", .member, in: [people.vault: .owner])
            let refusals = try await withThrowingTaskGroup(of: ErrorCode?.self) { group in
                for (one, other) in [(first, second), (second, first)] {
                    group.addTask {
                        try await refusal { try await people.removeMember(isLeaving ? one : other, by: one) }
                    }
                }
                return try await group.reduce(into: [ErrorCode?]()) { $0.append($1) }
            }
            #expect(refusals.filter { $0 == nil }.count == 1)
            let left = try await people.directory.members(in: people.vault, page: Page())
            #expect(left.map(\.membership.role) == [.owner])
        }
    }

    @Test("a plan's number of members holds, also for two who come at the same moment", arguments: TestEngine.all)
    func plan(_ engine: TestEngine) async throws {
        try await withMembers(engine) { people in
            let owner = try await people.person("olga", .owner, in: [people.vault: .owner])
            let newcomers = [try await people.person("mia", .member), try await people.person("moe", .member)]
            try await people.limitMembers(of: people.vault, to: 2)
            let refusals = try await withThrowingTaskGroup(of: ErrorCode?.self) { group in
                for person in newcomers {
                    group.addTask { try await refusal { try await people.setMember(person, .viewer, by: owner) } }
                }
                return try await group.reduce(into: [ErrorCode?]()) { $0.append($1) }
            }
            #expect(refusals.filter { $0 == nil }.count == 1 && refusals.contains(.planLimitReached))
            #expect(try await people.directory.members(in: people.vault, page: Page()).count == 2)
            try await people.setMember(owner, .viewer, by: owner)
            #expect(
                try await people.again(owner.id).memberships[people.vault] == .viewer, "a change of role is no newcomer"
            )
        }
    }

    @Test("nobody who is unknown or disabled becomes a member, and no vault that is not there gets one")
    func nobody() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let member = try await people.person("mia", .member)
            try await people.change(member, isActive: false, by: owner)
            #expect(try await refusal { try await people.setMember(member, .viewer, by: owner) } == .conflict)
            try await people.change(member, isActive: true, by: owner)
            #expect(
                try await refusal {
                    try await people.setMember(member, .viewer, in: VaultID(high: 0, low: 7), by: owner)
                } == .notFound)
            try await people.delete(member, by: owner)
            #expect(try await refusal { try await people.setMember(member, .viewer, by: owner) } == .notFound)
        }
    }

    @Test("what a person says of a membership outlasts what the groups say")
    func groups() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let member = try await people.person("mia", .member, in: [people.vault: .viewer])
            try await people.database.write { connection in
                try connection.execute("UPDATE memberships SET source = 'groups' WHERE user_id = \(member.id.text)")
            }
            #expect(try await people.directory.user(member.id).vaults.map(\.membership.source) == [.groups])
            try await people.setMember(member, .viewer, by: owner)
            #expect(try await people.directory.user(member.id).vaults.map(\.membership.source) == [.people])
        }
    }

    @Test("an owner of a vault finds members by address, and cannot try out which other addresses have accounts")
    func addresses() async throws {
        try await withMembers { people in
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            let admin = try await people.person("adam", .admin)
            try await people.person("mia", .member)
            func find(_ name: String, _ asker: Person) async throws -> ErrorCode? {
                try await refusal { _ = try await people.directory.userID(name, in: people.vault, by: asker) }
            }
            #expect(try await find("KIM@example.org", keeper) == nil)
            #expect(try await find("mia@example.org", keeper) == .notFound)
            #expect(try await find("nobody@example.org", keeper) == .notFound)
            #expect(try await find("mia@example.org", admin) == nil)
        }
    }
}

extension MemberHouse {
    /// What an owner of the instance sets in the place of the plan's number.
    func limitMembers(of vault: VaultID, to number: Int) async throws {
        try await database.write { connection in
            try connection.execute(
                "UPDATE vaults SET limits = \("{\"users\":\(number)}") WHERE id = \(vault.text)")
        }
        house.vaults.invalidateAll()
    }
}
