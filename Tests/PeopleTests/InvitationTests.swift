// Invitations: what they give, to whom, how often and for how long, and what becomes of them when whoever made one falls.

import CoreTestSupport
import JSON
import Model
import SQL
import Sealing
import Store
import Testing
import Vaults

@testable import People

@Suite("Invitations")
struct InvitationTests {
    @Test("a new person accepts with a name and a password, is signed in, and is what was offered")
    func newcomer() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let (invitation, token) = try await people.invite(
                "Nina@Example.org", .member, [people.vault: .operator], by: owner)
            let offered = try await people.directory.offered(by: token, visit: people.visit)
            #expect(offered.invitation.id == invitation.id && offered.inviter == "olga@example.org")
            #expect(offered.vaults.map(\.slug) == ["default"] && !offered.hasAccount)
            guard case .signedIn(let signedIn, let profile) = try await people.accept(token, name: "Nina") else {
                Issue.record("nobody is signed in")
                return
            }
            #expect(profile.user.email == "Nina@example.org" && profile.user.role == .member)
            let person = try await people.sessions.person(cookie: signedIn.cookie)
            #expect(person.memberships == [people.vault: .operator] && person.method == .password)
            _ = try await people.desk.signIn(
                email: "nina@example.org", password: Secret(MemberHouse.password), visit: people.visit)
            let log = try await people.log()
            #expect(log.contains { $0.hasPrefix("instance user.write Nina@example.org \(profile.user.id.text) - {") })
            #expect(log.contains { $0.hasPrefix("\(people.vault.text) member.write Nina@example.org") })
            #expect(
                log.contains {
                    $0.hasPrefix("instance invitation.write Nina@example.org") && $0.contains(#""state":"accepted""#)
                })
            #expect(!log.joined().contains(token.reveal()) && !log.joined().contains("scrypt"))
        }
    }

    @Test("a link works once, also for two who use it at the same moment", arguments: TestEngine.all)
    func once(_ engine: TestEngine) async throws {
        try await withMembers(engine) { people in
            let (_, token) = try await people.invite("nina@example.org", by: people.person("olga", .owner))
            let refusals = try await withThrowingTaskGroup(of: ErrorCode?.self) { group in
                for name in ["Nina", "Nora"] {
                    group.addTask { try await refusal { _ = try await people.accept(token, name: name) } }
                }
                return try await group.reduce(into: [ErrorCode?]()) { $0.append($1) }
            }
            #expect(refusals.filter { $0 == nil }.count == 1)
            #expect(try await people.database.count("users") == 2)
            #expect(try await refusal { _ = try await people.accept(token) } == .invitationInvalid)
        }
    }

    @Test("it works for 72 hours and not a moment longer")
    func expiry() async throws {
        try await withMembers { people in
            let (_, token) = try await people.invite("nina@example.org", by: people.person("olga", .owner))
            people.house.clock.advance(seconds: 72 * 3600 - 0.001)
            _ = try await people.directory.offered(by: token, visit: people.visit)
            people.house.clock.advance(seconds: 0.001)
            #expect(
                try await refusal { _ = try await people.directory.offered(by: token, visit: people.visit) }
                    == .invitationInvalid)
            #expect(try await refusal { _ = try await people.accept(token) } == .invitationInvalid)
            #expect(try await people.directory.invitations(state: .expired, limit: 10).count == 1)
            #expect(try await people.directory.invitations(state: .pending, limit: 10).isEmpty)
            #expect(try await people.database.count("users") == 1)
        }
    }

    @Test("whatever is wrong with a link, the answer is the same")
    func alike() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let (revoked, first) = try await people.invite("a@example.org", by: owner)
            try await people.directory.revoke(revoked.id, by: owner, audit: people.audits(.invitationWrite, owner))
            let (_, used) = try await people.invite("b@example.org", by: owner)
            _ = try await people.accept(used)
            let admin = try await people.person("adam", .admin)
            let (_, orphaned) = try await people.invite("c@example.org", by: admin)
            try await people.delete(admin, by: owner)
            var details: Set<String> = []
            for token in [first, used, orphaned, Secret("it_unknown"), Secret("")] {
                do {
                    _ = try await people.accept(token)
                    Issue.record("accepted")
                } catch let error as PosternError {
                    details.insert(error.description + error.fix)
                }
            }
            #expect(details.count == 1 && details.first?.hasPrefix("invitation_invalid") == true)
        }
    }

    @Test("an existing account accepts for itself, signed in; nobody else does, and no password is asked or set")
    func existing() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let (member, other) = (try await people.person("mia", .viewer), try await people.person("moe", .member))
            let (_, token) = try await people.invite("MIA@example.org", .member, [people.vault: .viewer], by: owner)
            #expect(try await people.directory.offered(by: token, visit: people.visit).hasAccount)
            #expect(try await refusal { _ = try await people.accept(token) } == .unauthorized)
            #expect(try await refusal { _ = try await people.accept(token, signedIn: other) } == .forbidden)
            #expect(try await people.again(member.id).memberships.isEmpty)
            let session = try await people.session(of: member)
            guard case .joined(let profile) = try await people.accept(token, signedIn: member) else {
                Issue.record("not joined")
                return
            }
            #expect(profile.user.role == .member && profile.vaults.map(\.slug) == ["default"])
            let now = try await people.sessions.person(cookie: session.cookie)
            #expect(now.role == .member && now.memberships == [people.vault: .viewer], "at the next request")
            #expect(try await people.database.count("users", where: "password_hash = 'none'") == 3)
        }
    }

    @Test("an invitation takes nothing away from who has more already")
    func noLowering() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let admin = try await people.person("adam", .admin, in: [people.vault: .owner])
            let (_, token) = try await people.invite("adam@example.org", .viewer, [people.vault: .viewer], by: owner)
            _ = try await people.accept(token, signedIn: admin)
            let now = try await people.again(admin.id)
            #expect(now.role == .admin && now.memberships == [people.vault: .owner])
        }
    }

    @Test("nobody offers a role above their own, nor a vault that they do not own")
    func offers() async throws {
        try await withMembers { people in
            let admin = try await people.person("adam", .admin)
            let keeper = try await people.person("kim", .viewer, in: [people.vault: .owner])
            let helper = try await people.person("hugo", .member, in: [people.vault: .operator])
            let other = try await people.house.neighbour().vault.id
            func invite(
                _ role: InstanceRole, _ grants: [VaultID: VaultRole] = [:], vault: VaultID? = nil, by asker: Person
            ) async throws -> ErrorCode? {
                try await refusal {
                    _ = try await people.invite("x@example.org", role, grants, vault: vault, by: asker)
                }
            }
            #expect(try await invite(.owner, by: admin) == .forbidden)
            // Admins manage people, and get no friend of theirs into a vault that is not theirs.
            #expect(try await invite(.member, [people.vault: .viewer], by: admin) == .forbidden)
            #expect(try await invite(.member, by: keeper) == .forbidden, "to the instance")
            let own = people.vault
            #expect(try await invite(.admin, [own: .viewer], vault: own, by: keeper) == .forbidden)
            #expect(try await invite(.member, [own: .viewer], vault: own, by: keeper) == .forbidden, "is viewer there")
            #expect(try await invite(.viewer, [other: .viewer], vault: own, by: keeper) == .forbidden)
            #expect(try await invite(.viewer, [own: .viewer], vault: own, by: helper) == .forbidden)
            #expect(try await people.database.count("invitations") == 0)
            #expect(try await invite(.viewer, [own: .owner], vault: own, by: keeper) == nil)
        }
    }

    @Test("the owner of a vault changes nobody's role at the instance")
    func vaultRoleOnly() async throws {
        try await withMembers { people in
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            let member = try await people.person("vera", .viewer)
            let (_, token) = try await people.invite(
                "vera@example.org", .member, [people.vault: .operator], vault: people.vault, by: keeper)
            _ = try await people.accept(token, signedIn: member)
            let now = try await people.again(member.id)
            #expect(now.role == .viewer && now.memberships == [people.vault: .operator])
        }
    }

    enum Fall: String, CaseIterable, CustomTestStringConvertible {
        case demoted, disabled, deleted, outOfVault
        var testDescription: String { rawValue }
    }

    @Test("an invitation is worth nothing once whoever made it could not make it any more", arguments: Fall.allCases)
    func fallenInviter(_ fall: Fall) async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let admin = try await people.person("adam", .admin, in: [people.vault: .owner])
            let (invitation, token) = try await people.invite(
                "accomplice@example.org", .admin, [people.vault: .owner], by: admin)
            switch fall {
            case .demoted: try await people.change(admin, role: .member, by: owner)
            case .disabled: try await people.change(admin, isActive: false, by: owner)
            case .deleted: try await people.delete(admin, by: owner)
            case .outOfVault: try await people.setMember(admin, .operator, by: owner)
            }
            #expect(
                try await refusal { _ = try await people.directory.offered(by: token, visit: people.visit) }
                    == .invitationInvalid)
            #expect(try await refusal { _ = try await people.accept(token) } == .invitationInvalid)
            #expect(
                try await people.directory.admit(verified: "accomplice@example.org", name: "x", visit: people.visit)
                    == nil)
            #expect(try await people.directory.users(page: Page(), query: "accomplice").isEmpty)
            // Somebody who may can answer for it instead.
            let again = try await people.directory.resend(
                invitation.id, by: owner, audit: people.audits(.invitationWrite, owner))
            _ = try await people.accept(Secret(try again.link.token))
        }
    }

    @Test("a link that is sent again is another one, with its whole time; the old one is dead")
    func resending() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let (invitation, first) = try await people.invite("nina@example.org", by: owner)
            people.house.clock.advance(seconds: 73 * 3600)
            let again = try await people.directory.resend(
                invitation.id, by: owner, audit: people.audits(.invitationWrite, owner))
            let second = Secret(try again.link.token)
            #expect(again.invitation.expiresAt == people.now.adding(seconds: 72 * 3600))
            #expect(try await refusal { _ = try await people.accept(first) } == .invitationInvalid)
            _ = try await people.accept(second)
            #expect(
                try await refusal {
                    _ = try await people.directory.resend(
                        invitation.id, by: owner, audit: people.audits(.invitationWrite, owner))
                } == .conflict)
        }
    }

    @Test("nobody sends or revokes what offers more than they are, and an owner of a vault only what is of that vault")
    func whose() async throws {
        try await withMembers { people in
            let (owner, admin) = (try await people.person("olga", .owner), try await people.person("adam", .admin))
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            let other = try await people.house.neighbour().vault.id
            let (high, token) = try await people.invite("o@example.org", .owner, by: owner)
            let (ofVault, _) = try await people.invite(
                "v@example.org", .member, [people.vault: .viewer], vault: people.vault, by: keeper)
            func resend(_ id: InvitationID, of vault: VaultID? = nil, by asker: Person) async throws -> ErrorCode? {
                try await refusal {
                    _ = try await people.directory.resend(
                        id, of: vault, by: asker, audit: people.audits(.invitationWrite, asker))
                }
            }
            func revoke(_ id: InvitationID, of vault: VaultID? = nil, by asker: Person) async throws -> ErrorCode? {
                try await refusal {
                    try await people.directory.revoke(
                        id, of: vault, by: asker, audit: people.audits(.invitationWrite, asker))
                }
            }
            #expect(try await resend(high.id, by: admin) == .forbidden)
            #expect(try await revoke(high.id, by: admin) == .forbidden)
            #expect(try await resend(high.id, of: people.vault, by: keeper) == .notFound)
            #expect(try await revoke(high.id, of: people.vault, by: keeper) == .notFound)
            #expect(try await revoke(ofVault.id, of: other, by: owner) == .notFound)
            // An admin may take an invitation back that they could not make.
            #expect(try await resend(ofVault.id, by: admin) == .forbidden)
            #expect(try await revoke(ofVault.id, by: admin) == nil)
            #expect(try await revoke(ofVault.id, of: people.vault, by: keeper) == nil, "again, to no effect")
            #expect(try await resend(ofVault.id, of: people.vault, by: keeper) == .conflict)
            _ = try await people.accept(token)
            #expect(try await revoke(high.id, by: owner) == .conflict, "it was used")
            let list = try await people.directory.invitations(of: people.vault, limit: 10)
            #expect(list.map(\.id) == [ofVault.id])
        }
    }

    @Test("fifty may wait, and one address waits once in each place")
    func limits() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            let (first, _) = try await people.invite("n0@example.org", by: owner)
            #expect(try await refusal { _ = try await people.invite("N0@EXAMPLE.org", by: owner) } == .conflict)
            // Whether the instance invited somebody shows in no vault.
            try await people.invite(
                "n0@example.org", .member, [people.vault: .viewer], vault: people.vault, by: keeper)
            for number in 1...49 { try await people.invite("n\(number)@example.org", by: owner) }
            #expect(try await refusal { _ = try await people.invite("more@example.org", by: owner) } == .conflict)
            try await people.directory.revoke(first.id, by: owner, audit: people.audits(.invitationWrite, owner))
            try await people.invite("more@example.org", by: owner)
            #expect(try await refusal { _ = try await people.invite("yet@example.org", by: owner) } == .conflict)
            people.house.clock.advance(seconds: 72 * 3600)
            try await people.invite("yet@example.org", by: owner)
        }
    }

    @Test("who was deleted is invited again by the instance, and by no vault")
    func barred() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            try await people.delete(people.person("mia", .member), by: owner)
            func byVault() async throws -> ErrorCode? {
                try await refusal {
                    _ = try await people.invite(
                        "mia@example.org", .member, [people.vault: .viewer], vault: people.vault, by: keeper)
                }
            }
            func answer(_ email: String) async throws -> String {
                do {
                    try await people.invite(
                        email, .member, [people.vault: .viewer], vault: people.vault, by: keeper)
                    return "invited"
                } catch let error as PosternError { return error.description + error.fix }
            }
            #expect(try await answer("new@example.org") == "invited")
            #expect(try await byVault() == .conflict)
            #expect(
                try await answer("mia@example.org") == answer("new@example.org"), "nobody finds out who was deleted")
            let (_, token) = try await people.invite("mia@example.org", by: owner)
            #expect(try await byVault() == nil)
            guard case .signedIn(let signedIn, _) = try await people.accept(token) else {
                Issue.record("not in")
                return
            }
            #expect(signedIn.person.memberships.isEmpty, "a new account; nothing of the old one")
        }
    }

    @Test("an invitation that waits for somebody is no way back for who is deleted")
    func noWayBack() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            let member = try await people.person("mia", .member)
            let (ofInstance, first) = try await people.invite("MIA@example.org", .admin, by: owner)
            let (_, second) = try await people.invite(
                "mia@example.org", .member, [people.vault: .viewer], vault: people.vault, by: keeper)
            try await people.invite("moe@example.org", by: owner)
            try await people.delete(member, by: owner)
            for token in [first, second] {
                #expect(try await refusal { _ = try await people.accept(token) } == .invitationInvalid)
            }
            #expect(
                try await people.directory.admit(verified: "mia@example.org", name: "x", visit: people.visit) == nil)
            #expect(
                try await people.directory.invitations(state: .pending, limit: 10).map(\.email) == ["moe@example.org"])
            let log = try await people.log().filter { $0.contains(ofInstance.id.text) }
            #expect(log.last?.hasPrefix("instance invitation.write olga@example.org") == true)
        }
    }

    @Test("a full vault says so at the invitation and at its use; one that is gone is passed over")
    func vaults() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner, in: [people.vault: .owner])
            let other = try await people.house.neighbour().vault.id
            let (_, token) = try await people.invite(
                "nina@example.org", .member, [people.vault: .viewer, other: .viewer], by: owner)
            try await people.limitMembers(of: people.vault, to: 1)
            #expect(
                try await refusal {
                    _ = try await people.invite("x@example.org", .member, [people.vault: .viewer], by: owner)
                } == .planLimitReached)
            #expect(try await refusal { _ = try await people.accept(token) } == .planLimitReached)
            #expect(try await people.database.count("users") == 1, "nothing of it happened")
            try await people.limitMembers(of: people.vault, to: 2)
            try await people.database.write { connection in
                try connection.execute("UPDATE vaults SET state = 'deleted' WHERE id = \(other.text)")
            }
            people.house.vaults.invalidateAll()
            guard case .signedIn(let signedIn, _) = try await people.accept(token) else {
                Issue.record("not in")
                return
            }
            #expect(signedIn.person.memberships == [people.vault: .viewer])
        }
    }

    @Test("invitations that wait in one place take no room from those of another", arguments: TestEngine.all)
    func room(_ engine: TestEngine) async throws {
        try await withMembers(engine) { people in
            let owner = try await people.person("olga", .owner, in: [people.vault: .owner])
            let other = try await people.house.neighbour().vault.id
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner, other: .owner])
            func invite(_ name: String, _ vault: VaultID?, by asker: Person) async throws -> ErrorCode? {
                try await refusal {
                    try await people.invite(
                        "\(name)@example.net", .viewer, vault.map { [$0: .viewer] } ?? [:], vault: vault, by: asker)
                }
            }
            for number in 0..<Invitation.pendingLimitOfVault {
                #expect(try await invite("v\(number)", people.vault, by: keeper) == nil)
            }
            #expect(try await invite("more", people.vault, by: keeper) == .conflict)
            #expect(try await invite("more", other, by: keeper) == nil)
            for number in 0..<Invitation.pendingLimit {
                #expect(try await invite("i\(number)", nil, by: owner) == nil)
            }
            #expect(try await invite("another", nil, by: owner) == .conflict)
            #expect(try await invite("another", other, by: keeper) == nil)
        }
    }

    @Test("who belongs to an archived vault does not change by an invitation; the rest of it is given")
    func archived() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner, in: [people.vault: .owner])
            let other = try await people.house.neighbour().vault.id
            let mia = try await people.person("mia", .viewer, in: [people.vault: .viewer])
            let (_, token) = try await people.invite(
                "mia@example.org", .member, [people.vault: .operator, other: .viewer], by: owner)
            let (_, second) = try await people.invite(
                "nina@example.org", .member, [people.vault: .viewer], by: owner)
            try await people.database.write { connection in
                try connection.execute("UPDATE vaults SET state = 'archived' WHERE id = \(people.vault.text)")
            }
            people.house.vaults.invalidateAll()
            _ = try await people.accept(token, signedIn: mia)
            #expect(try await people.again(mia.id).memberships == [people.vault: .viewer, other: .viewer])
            guard case .signedIn(let nina, _) = try await people.accept(second) else {
                Issue.record("not in")
                return
            }
            #expect(nina.person.memberships.isEmpty)
        }
    }

    @Test("a weak password, no name, no password: said so, and the link works on")
    func incomplete() async throws {
        try await withMembers { people in
            let (_, token) = try await people.invite("nina@example.org", by: people.person("olga", .owner))
            #expect(try await refusal { _ = try await people.accept(token, password: "password") } == .weakPassword)
            #expect(try await refusal { _ = try await people.accept(token, name: nil) } == .validationFailed)
            #expect(try await refusal { _ = try await people.accept(token, password: nil) } == .validationFailed)
            #expect(try await people.database.count("users") == 1)
            _ = try await people.accept(token)
        }
    }

    @Test("an instance without passwords takes no new one; single sign-on takes the invitation in")
    func withoutPasswords() async throws {
        try await withMembers { configuration in
            configuration.passwordSignIn = false
        } _: { people in
            let owner = try await people.person("olga", .owner)
            let (_, token) = try await people.invite("nina@example.org", .viewer, [people.vault: .viewer], by: owner)
            #expect(try await refusal { _ = try await people.accept(token) } == .signInRefused)
            let user = try #require(
                try await people.directory.admit(verified: "NINA@example.org", name: "Nina", visit: people.visit))
            #expect(user.role == .viewer && !user.hasPassword && user.name == "Nina")
            #expect(try await people.again(user.id).memberships == [people.vault: .viewer])
            #expect(try await refusal { _ = try await people.accept(token) } == .invitationInvalid)
            #expect(
                try await people.directory.admit(verified: "other@example.org", name: "x", visit: people.visit) == nil)
        }
    }

    @Test("single sign-on takes in by all that waits for the address, with the highest role")
    func admittedByAll() async throws {
        try await withMembers { people in
            let owner = try await people.person("olga", .owner)
            let keeper = try await people.person("kim", .member, in: [people.vault: .owner])
            try await people.invite("nina@example.org", .admin, by: owner)
            try await people.invite(
                "nina@example.org", .viewer, [people.vault: .operator], vault: people.vault, by: keeper)
            let user = try #require(
                try await people.directory.admit(verified: "nina@example.org", name: "Nina", visit: people.visit))
            #expect(user.role == .admin)
            #expect(try await people.again(user.id).memberships == [people.vault: .operator])
            #expect(try await people.directory.invitations(state: .accepted, limit: 10).count == 2)
        }
    }

    @Test("texts that are guessed count against the address they come from, and good ones do not")
    func guessing() async throws {
        try await withMembers { configuration in
            configuration.addressAttempts = 3
        } _: { people in
            let (_, token) = try await people.invite("nina@example.org", by: people.person("olga", .owner))
            func guess(_ address: String) async throws -> ErrorCode? {
                try await refusal {
                    _ = try await people.directory.offered(
                        by: Secret("it_\(RandomToken.text(43))"), visit: Visit(address: address))
                }
            }
            for _ in 0..<10 { _ = try await people.directory.offered(by: token, visit: people.visit) }
            for _ in 0..<3 { #expect(try await guess("198.51.100.7") == .invitationInvalid) }
            #expect(try await guess("198.51.100.7") == .tooManyAttempts)
            #expect(
                try await refusal {
                    _ = try await people.accept(token, visit: Visit(address: "198.51.100.7"))
                } == .tooManyAttempts)
            #expect(try await guess("198.51.100.8") == .invitationInvalid)
            people.house.clock.advance(seconds: 901)
            #expect(try await guess("198.51.100.7") == .invitationInvalid)
        }
    }

    @Test("the letter goes to the one invited, with the link that is then in no answer, and no text of the inviter's")
    func letter() async throws {
        try await withMembers(hasMail: true) { people in
            let owner = try await people.person("olga", .owner)
            let request = PeopleDirectory.InvitationRequest(
                email: "nina@example.org", role: .member, grants: [.init(vault: people.vault, role: .operator)])
            let made = try await people.directory.invite(
                request, by: owner, audit: people.audits(.invitationWrite, owner))
            #expect(made.link.isSent)
            let letter = try #require(people.letters.letters.first)
            #expect(letter.to == "nina@example.org" && letter.text.contains("default (operator)"))
            #expect(letter.text.contains("olga@example.org"))
            let mark = try #require(letter.text.firstRange(of: "https://postern.example.com/invitation#token="))
            let token = letter.text[mark.upperBound...].prefix { !$0.isWhitespace }
            #expect(
                try await refusal {
                    _ = try await people.directory.resend(
                        made.invitation.id, by: owner, audit: people.audits(.invitationWrite, owner))
                } == .tooManyAttempts, "nobody is flooded with letters")
            _ = try await people.accept(Secret(String(token)))
        }
    }

    @Test("the database holds a digest of the link, and nothing that opens it")
    func storage() async throws {
        try await withMembers { people in
            let (_, token) = try await people.invite("nina@example.org", by: people.person("olga", .owner))
            let rows = try await people.database.read { connection in
                try connection.rows("SELECT * FROM invitations").map { "\($0.values)" }
            }
            #expect(rows.count == 1 && !rows.joined().contains(token.reveal().dropFirst(3)))
            #expect(token.reveal().hasPrefix("it_") && token.reveal().utf8.count == 46)
        }
    }
}
