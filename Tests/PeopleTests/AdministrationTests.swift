// Accounts in the hands of admins: who may do what to whom, and that there is always somebody with the last word.

import CoreTestSupport
import Gate
import JSON
import Model
import SQL
import Sealing
import Store
import Testing

@testable import People

@Suite("User administration")
struct AdministrationTests {
    @Test("users are found by a part of address or name, by role and by state, page after page")
    func searching() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            for name in ["ada", "adam", "bob"] { try await people.person(name, .member) }
            let bob = try #require(try await people.directory.users(page: Page(), query: "bob").first)
            try await people.change(people.again(bob.user.id), isActive: false, by: owner)

            func names(
                _ query: String? = nil, role: InstanceRole? = nil, isActive: Bool? = nil
            ) async throws -> [String] {
                try await people.directory.users(page: Page(), query: query, role: role, isActive: isActive)
                    .map(\.user.name)
            }
            #expect(try await names() == ["olga", "ada", "adam", "bob"])
            #expect(try await names("ADA") == ["ada", "adam"])
            #expect(try await names("%") == [], "a wildcard is a character here")
            #expect(try await names("_") == [])
            #expect(try await names("@example.org").count == 4)
            #expect(try await names(role: .owner) == ["olga"])
            #expect(try await names(isActive: false) == ["bob"])
            #expect(try await names("b", role: .member, isActive: false) == ["bob"])
            #expect(try await names("b", role: .owner, isActive: false) == [])

            let first = try await people.directory.users(page: Page(limit: 3))
            let second = try await people.directory.users(
                page: Page(after: try #require(first.last).user.id.text, limit: 3))
            #expect(first.count == 3 && second.map(\.user.name) == ["bob"])
        }
    }

    @Test("nobody gives a role above their own, to others or to themselves")
    func raising() async throws {
        try await withMembers { people in
            let (owner, admin) = (try await people.person("olga", .owner), try await people.person("adam", .admin))
            let member = try await people.person("mia", .member)
            #expect(try await refusal { try await people.change(member, role: .owner, by: admin) } == .forbidden)
            #expect(try await refusal { try await people.change(admin, role: .owner, by: admin) } == .forbidden)
            #expect(
                try await refusal {
                    _ = try await people.directory.makeUser(
                        email: "x@example.org", name: "x", role: .owner, by: admin,
                        audit: people.audits(.userWrite, admin))
                } == .forbidden)
            #expect(try await people.again(member.id).role == .member)
            #expect(try await people.owners() == 1)
            #expect(try await people.directory.users(page: Page()).count == 3, "nobody was made")
            try await people.change(member, role: .admin, by: admin)
            try await people.change(member, role: .owner, by: owner)
            #expect(try await people.owners() == 2)
        }
    }

    @Test("nobody touches somebody above themselves, whatever they want to do")
    func reaching() async throws {
        try await withMembers { people in
            let (owner, admin) = (try await people.person("olga", .owner), try await people.person("adam", .admin))
            try await people.person("otto", .owner)
            let session = try await people.session(of: owner)
            let attempts: [@Sendable () async throws -> Void] = [
                { try await people.change(owner, name: "Nobody", by: admin) },
                { try await people.change(owner, role: .viewer, by: admin) },
                { try await people.change(owner, isActive: false, by: admin) },
                { try await people.delete(owner, by: admin) },
                {
                    _ = try await people.directory.resetPassword(
                        of: owner.id, by: admin, audit: people.audits(.userWrite, admin))
                },
                { try await people.directory.unlock(owner.id, by: admin, audit: people.audits(.userWrite, admin)) },
                {
                    _ = try await people.directory.endSessions(
                        of: owner.id, by: admin, audit: people.audits(.userWrite, admin))
                },
            ]
            for attempt in attempts { #expect(try await refusal(attempt) == .forbidden) }
            #expect(try await people.again(owner.id).name == "olga")
            #expect(try await people.owners() == 2)
            #expect(try await people.sessions.person(cookie: session.cookie).id == owner.id, "still signed in")
        }
    }

    @Test("what somebody was when they signed in counts for nothing: what counts is the moment of the commit")
    func outdatedAuthority() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let (admin, member) = (
                try await people.person("adam", .admin), try await people.person("mia", .member)
            )
            try await people.change(admin, role: .member, by: owner)
            #expect(admin.role == .admin, "as the gate had seen them")
            #expect(try await refusal { try await people.change(member, name: "x", by: admin) } == .forbidden)
            #expect(try await refusal { try await people.delete(member, by: admin) } == .forbidden)
            try await people.change(admin, role: .admin, by: owner)
            try await people.change(admin, isActive: false, by: owner)
            #expect(try await refusal { try await people.change(member, name: "x", by: admin) } == .forbidden)
            try await people.delete(admin, by: owner)
            #expect(try await refusal { try await people.change(member, name: "x", by: admin) } == .forbidden)
            #expect(try await people.again(member.id).name == "mia")
        }
    }

    @Test("the last owner who can sign in stays one, whatever they do to themselves")
    func lastOwner() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            // Neither of these could let anybody in again.
            let disabled = try await people.person("dora", .owner)
            try await people.change(disabled, isActive: false, by: owner)
            try await people.person("paul", .owner, hasPassword: false)
            #expect(try await refusal { try await people.change(owner, role: .admin, by: owner) } == .lastOwner)
            #expect(try await refusal { try await people.change(owner, isActive: false, by: owner) } == .lastOwner)
            #expect(try await refusal { try await people.delete(owner, by: owner) } == .lastOwner)
            #expect(try await refusal { try await people.change(owner, role: .viewer, by: nil) } == .lastOwner)
            #expect(try await refusal { try await people.delete(owner, by: nil) } == .lastOwner)
            try await people.change(owner, name: "Olga", by: owner)
            #expect(try await people.again(owner.id).role == .owner)
            try await people.change(disabled, isActive: true, by: owner)
            try await people.change(owner, role: .admin, by: owner)
            #expect(try await people.again(owner.id).role == .admin, "somebody else has the last word now")
        }
    }

    enum Ending: String, CaseIterable, CustomTestStringConvertible {
        case themselves, eachOther, deletion, disabling
        var testDescription: String { rawValue }
    }

    @Test("of two owners who leave at the same moment one stays", arguments: TestEngine.all, Ending.allCases)
    func twoAtOnce(_ engine: TestEngine, _ ending: Ending) async throws {
        try await withMembers(engine) { people in
            let (first, second) = (try await people.person("olga", .owner), try await people.person("otto", .owner))
            let refusals = try await withThrowingTaskGroup(of: ErrorCode?.self) { group in
                for (one, other) in [(first, second), (second, first)] {
                    group.addTask {
                        try await refusal {
                            switch ending {
                            case .themselves: try await people.change(one, role: .member, by: one)
                            case .eachOther: try await people.change(other, role: .admin, by: one)
                            case .deletion: try await people.delete(other, by: one)
                            case .disabling: try await people.change(one, isActive: false, by: one)
                            }
                        }
                    }
                }
                return try await group.reduce(into: [ErrorCode?]()) { $0.append($1) }
            }
            #expect(refusals.filter { $0 == nil }.count == 1, "one of them got what they wanted")
            #expect(try await people.owners() == 1)
        }
    }

    @Test("a new role holds at the next request, without a new sign-in")
    func atOnce() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let member = try await people.person("mia", .member)
            let session = try await people.session(of: member)
            #expect(try await people.sessions.person(cookie: session.cookie).role == .member)
            try await people.change(member, role: .admin, by: owner)
            #expect(try await people.sessions.person(cookie: session.cookie).role == .admin)
            try await people.change(member, role: .viewer, by: owner)
            #expect(try await people.sessions.person(accessToken: session.accessToken).role == .viewer)
        }
    }

    @Test("who is disabled has no sessions and no links any more, and keeps the memberships for the day of the return")
    func disabling() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let member = try await people.person("mia", .member, in: [people.vault: .operator])
            let session = try await people.session(of: member)
            let link = try await people.directory.resetPassword(
                of: member.id, by: owner, audit: people.audits(.userWrite, owner))
            try await people.change(member, isActive: false, by: owner)
            #expect(
                try await refusal { _ = try await people.sessions.person(cookie: session.cookie) } == .unauthorized)
            #expect(
                try await refusal { _ = try await people.sessions.person(accessToken: session.accessToken) }
                    == .unauthorized)
            #expect(
                try await refusal {
                    _ = try await people.directory.resetPassword(
                        of: member.id, by: owner, audit: people.audits(.userWrite, owner))
                } == .conflict)
            try await people.change(member, isActive: true, by: owner)
            #expect(
                try await refusal { _ = try await people.sessions.person(cookie: session.cookie) } == .unauthorized,
                "an old session does not come back")
            #expect(
                try await refusal {
                    try await people.accounts.reset(
                        token: Secret(try link.token), password: Secret(MemberHouse.password), visit: people.visit)
                } != nil, "neither does an old link")
            #expect(try await people.again(member.id).memberships == [people.vault: .operator])
        }
    }

    @Test("a link for a new password does not outlive a raise: who made it for a member gets into no admin's account")
    func linkBeforeRaise() async throws {
        try await withMembers { people in
            let (owner, admin) = (try await people.person("olga", .owner), try await people.person("adam", .admin))
            let member = try await people.person("mia", .member)
            let link = try await people.directory.resetPassword(
                of: member.id, by: admin, audit: people.audits(.userWrite, admin))
            try await people.change(member, role: .owner, by: owner)
            #expect(
                try await refusal {
                    try await people.accounts.reset(
                        token: Secret(try link.token), password: Secret(MemberHouse.password), visit: people.visit)
                } != nil)
        }
    }

    @Test("what is deleted is gone at once; what was done stays written down, with who did it")
    func deletion() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let admin = try await people.person("adam", .admin, in: [people.vault: .operator])
            let other = try await people.house.neighbour().vault.id
            try await people.setMember(admin, .viewer, in: other, by: nil)
            let session = try await people.session(of: admin)
            let key = try await people.house.callers.issueKey(
                .init(label: "theirs", kind: .tool, scopes: .all), in: people.vault)
            try await people.change(try await people.person("mia", .viewer), role: .member, by: admin)
            try await people.delete(admin, by: owner)

            #expect(
                try await refusal { _ = try await people.sessions.person(cookie: session.cookie) } == .unauthorized)
            #expect(try await refusal { _ = try await people.directory.user(admin.id) } == .notFound)
            for table in ["memberships", "sessions", "one_time_tokens", "recovery_codes", "user_identities"] {
                #expect(try await people.database.count(table, where: "user_id = '\(admin.id.text)'") == 0)
            }
            let caller = try await people.house.authenticator.authenticate(key: key.text, from: nil)
            #expect(caller.label == "theirs")
            let log = try await people.log()
            #expect(log.contains { $0.contains("user.write adam@example.org") && $0.contains(#""role":"member""#) })
            #expect(log.contains { $0.hasPrefix("instance user.delete olga@example.org \(admin.id.text)") })
            for vault in [people.vault, other] {
                #expect(
                    log.contains {
                        $0.hasPrefix("\(vault.text) member.write olga@example.org \(admin.id.text)")
                            && $0.contains("adam@example.org") && $0.hasSuffix(" -")
                    }, "each vault's own log says so")
            }
        }
    }

    @Test("who was deleted is kept out by address and identity, in whatever case, until an admin asks them in again")
    func barred() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let member = try await people.person("mia", .member)
            try await people.database.write { connection in
                try connection.execute(
                    """
                    INSERT INTO user_identities (issuer, subject, user_id, created_at)
                    VALUES ('https://id.example', 'sub-1', \(member.id.text), 1)
                    """)
            }
            let barred = BarredPeople(database: people.database)
            func isOut(_ email: String = "x@example.org", _ subject: String = "sub-2") async throws -> Bool {
                try await barred.holds(email: email, issuer: "https://id.example", subject: subject)
            }
            #expect(try await !isOut("mia@example.org", "sub-1"))
            try await people.delete(member, by: owner)
            #expect(try await isOut("MIA@example.org"))
            #expect(try await isOut("other@example.org", "sub-1"))
            #expect(try await !isOut())
            #expect(try await !isOut("mia@example.com"))
            #expect(
                try await !barred.holds(email: "x@example.org", issuer: "https://id.example/", subject: "sub-1"),
                "another issuer's people are others")
            let names = try await people.database.read { connection in
                try connection.rows("SELECT digest, person FROM barred_people").map { "\($0.values)" }
            }
            #expect(names.count == 2 && !names.joined().contains("mia"), "digests, and nothing of the person")
            try await people.invite("Mia@example.org", by: owner)
            #expect(try await !isOut("mia@example.org", "sub-1"))
        }
    }

    @Test("the only owner of a vault is deleted by an owner of the instance, and by no admin")
    func onlyOwnerOfVault() async throws {
        try await withMembers { people in
            let (owner, admin) = (try await people.person("olga", .owner), try await people.person("adam", .admin))
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            #expect(try await refusal { try await people.delete(keeper, by: admin) } == .lastOwner)
            let helper = try await people.person("hugo", .member, in: [people.vault: .owner])
            try await people.delete(helper, by: admin)
            try await people.delete(keeper, by: owner)
            #expect(try await people.directory.members(in: people.vault, page: Page()).isEmpty)
        }
    }

    @Test("an account that somebody made has no password; its link sets one, once; its address is taken in any case")
    func making() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            func make(_ email: String) async throws -> (
                profile: PeopleDirectory.Profile, link: PeopleDirectory.Handover
            ) {
                try await people.directory.makeUser(
                    email: email, name: "Nina", role: .member, by: owner, audit: people.audits(.userWrite, owner))
            }
            let made = try await make("Nina@Example.org")
            #expect(!made.profile.user.hasPassword && made.profile.user.email == "Nina@example.org")
            #expect(try await refusal { _ = try await make("nina@example.org") } == .conflict)
            #expect(
                try await refusal {
                    _ = try await people.desk.signIn(
                        email: "nina@example.org", password: Secret(""), visit: people.visit)
                } == .unauthorized, "no password is not an empty one")
            let token = Secret(try made.link.token)
            try await people.accounts.reset(
                token: token, password: Secret(MemberHouse.password), visit: people.visit)
            let signedIn = try await people.desk.signIn(
                email: "nina@example.org", password: Secret(MemberHouse.password), visit: people.visit)
            #expect(signedIn.person.id == made.profile.user.id)
            #expect(
                try await refusal {
                    try await people.accounts.reset(
                        token: token, password: Secret("another of these phrases"), visit: people.visit)
                } != nil)
            #expect(try await !people.log().joined().contains(token.reveal()))
        }
    }

    @Test(
        "without mail, the link of who belongs to a vault is in no hands but those of its owners, and of the instance's"
    )
    func linksOpenNoVault() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let admin = try await people.person("adam", .admin)
            let keeper = try await people.person("kate", .admin, in: [people.vault: .owner])
            let member = try await people.person("mia", .member, in: [people.vault: .viewer])
            let loner = try await people.person("lena", .member)
            func reset(_ person: Person, by asker: Person) async throws -> ErrorCode? {
                try await refusal {
                    _ = try await people.directory.resetPassword(
                        of: person.id, by: asker, audit: people.audits(.userWrite, asker))
                }
            }
            #expect(try await reset(member, by: admin) == .forbidden)
            #expect(try await people.database.count("one_time_tokens") == 0, "no link was made")
            #expect(try await reset(loner, by: admin) == nil)
            #expect(try await reset(member, by: keeper) == nil)
            #expect(try await reset(keeper, by: keeper) == nil)
            #expect(try await reset(member, by: owner) == nil)
            let other = try await people.house.neighbour().vault.id
            try await people.setMember(member, .viewer, in: other, by: nil)
            #expect(try await reset(member, by: keeper) == .forbidden, "one vault of two")
        }
        try await withMembers(hasMail: true) { people in
            let admin = try await people.person("adam", .admin)
            let member = try await people.person("mia", .member, in: [people.vault: .viewer])
            let handover = try await people.directory.resetPassword(
                of: member.id, by: admin, audit: people.audits(.userWrite, admin))
            #expect(handover.isSent, "the link goes to the person")
        }
    }

    @Test("a link that went by letter is in no answer; where the letter is not taken, no link is, but of a new account")
    func letters() async throws {
        try await withMembers(hasMail: true) { people in
            let owner = try await people.person("olga", .owner)
            let member = try await people.person("mia", .member)
            func reset() async throws -> PeopleDirectory.Handover {
                try await people.directory.resetPassword(
                    of: member.id, by: owner, audit: people.audits(.userWrite, owner))
            }
            #expect(try await reset().isSent)
            let letter = try #require(people.letters.letters.first)
            #expect(letter.to == "mia@example.org" && letter.text.contains("https://postern.example.com/"))
            #expect(letter.text.contains("#token="))
            people.letters.breakDown()
            #expect(try await refusal { _ = try await reset() } == .overloaded)
            let made = try await people.directory.makeUser(
                email: "nora@example.org", name: "Nora", role: .member, by: owner,
                audit: people.audits(.userWrite, owner))
            #expect(try !made.link.token.isEmpty)
        }
    }

    @Test("whose role was changed is told so; whose name was, is not")
    func notices() async throws {
        try await withMembers(hasMail: true) { people in
            let owner = try await people.person("olga", .owner)
            let member = try await people.person("mia", .member)
            try await people.change(member, name: "Mia", by: owner)
            #expect(people.letters.letters.isEmpty)
            try await people.change(member, role: .admin, by: owner)
            #expect(people.letters.letters.map(\.to) == ["mia@example.org"])
            people.letters.breakDown()
            try await people.change(member, role: .member, by: owner)
            #expect(try await people.again(member.id).role == .member, "a letter that fails takes nothing back")
        }
    }

    @Test("a change that changes nothing is not written down, and one that does is, with before and after")
    func audited() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let member = try await people.person("mia", .member)
            let before = try await people.log().count
            try await people.change(member, role: .member, by: owner)
            #expect(try await people.log().count == before)
            try await people.change(member, role: .viewer, by: owner)
            let log = try await people.log()
            #expect(log.count == before + 1)
            #expect(log.last?.hasPrefix("instance user.write olga@example.org \(member.id.text)") == true)
            #expect(log.last?.contains(#""role":"member""#) == true && log.last?.contains(#""role":"viewer""#) == true)
            #expect(log.last?.contains("none") == false, "no hash")
        }
    }
}
