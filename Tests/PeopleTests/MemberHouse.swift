// A house with people who look after each other: what the suites on administration, members and invitations begin with.

import CoreTestSupport
import Gate
import JSON
import Logging
import Model
import SQL
import Sealing
import Store
import Synchronization
import Vaults

@testable import People

struct MemberHouse: Sendable {
    let house: TestHouse
    let sessions: SessionKeeper
    let accounts: AccountKeeper
    let desk: SignInDesk
    let directory: PeopleDirectory
    let letters: LetterBox

    /// - Parameters:
    ///   - hasMail: whether letters are sent; without, links are in the answers.
    ///   - configure: what the instance decides.
    init(
        _ house: TestHouse,
        hasMail: Bool = false,
        _ configure: (inout PeopleConfiguration) -> Void = { _ in }
    ) async throws {
        var configuration = PeopleConfiguration(publicURL: "https://postern.example.com")
        configure(&configuration)
        let key = try await InstanceKey.open(database: house.database, masterKey: house.masterKey, clock: house.clock)
        self.house = house
        letters = LetterBox()
        sessions = await SessionKeeper(
            database: house.database, instanceKey: key, configuration: configuration, clock: house.clock,
            ids: house.ids)
        accounts = AccountKeeper(sessions: sessions, mail: nil)
        desk = SignInDesk(sessions: sessions)
        directory = PeopleDirectory(
            database: house.database, vaults: house.vaults, sessions: sessions, accounts: accounts, desk: desk,
            mail: hasMail ? letters : nil, configuration: configuration, clock: house.clock, ids: house.ids,
            logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() })
    }

    var database: any SQLDatabase { house.database }
    var vault: VaultID { house.vault.id }
    var now: Timestamp { house.clock.now() }
    let visit = Visit(address: "192.0.2.1", door: "http")

    /// Somebody with an account, signed in; a password that nobody tries costs no scrypt.
    @discardableResult
    func person(
        _ name: String,
        _ role: InstanceRole,
        hasPassword: Bool = true,
        in vaults: [VaultID: VaultRole] = [:]
    ) async throws -> Person {
        let user = User(
            id: house.ids.next(), email: "\(name)@example.org", name: name, role: role, createdAt: now)
        _ = try await UserRepository(database: database).insert(
            user, passwordHash: hasPassword ? "none" : nil, audit: house.audit(.userWrite))
        for (vault, role) in vaults {
            _ = try await directory.setMember(user.id, role, in: vault, by: nil, audit: house.audit(.memberWrite))
        }
        return try await again(user.id)
    }

    /// The person as a new sign-in would find them.
    func again(_ id: UserID) async throws -> Person {
        guard let person = try await UserRepository(database: database).person(id, at: now) else {
            throw PosternError(.notFound, "no such person")
        }
        return person
    }

    func session(of person: Person) async throws -> SignedIn {
        let user = try await directory.user(person.id).user
        return try await desk.begin(user, method: .password, visit: visit, detail: nil)
    }

    func change(
        _ person: Person,
        role: InstanceRole? = nil,
        name: String? = nil,
        isActive: Bool? = nil,
        by asker: Person?
    ) async throws {
        _ = try await directory.change(
            person.id, .init(name: name, role: role, isActive: isActive), by: asker, audit: audits(.userWrite, asker))
    }

    func delete(_ person: Person, by asker: Person?) async throws {
        try await directory.delete(person.id, by: asker, audit: audits(.userDelete, asker))
    }

    func setMember(_ person: Person, _ role: VaultRole, in vault: VaultID? = nil, by asker: Person?) async throws {
        _ = try await directory.setMember(
            person.id, role, in: vault ?? self.vault, by: asker, audit: audits(.memberWrite, asker))
    }

    func removeMember(_ person: Person, in vault: VaultID? = nil, by asker: Person?) async throws {
        try await directory.removeMember(
            person.id, in: vault ?? self.vault, by: asker, audit: audits(.memberWrite, asker))
    }

    /// Invites, and returns the text of the link.
    @discardableResult
    func invite(
        _ email: String,
        _ role: InstanceRole = .member,
        _ grants: [VaultID: VaultRole] = [:],
        vault: VaultID? = nil,
        by asker: Person
    ) async throws -> (invitation: Invitation, token: Secret<String>) {
        let request = PeopleDirectory.InvitationRequest(
            email: email, role: role, grants: grants.map { Invitation.Grant(vault: $0.key, role: $0.value) },
            vault: vault)
        let made = try await directory.invite(request, by: asker, audit: audits(.invitationWrite, asker))
        return (made.invitation, Secret(try made.link.token))
    }

    func accept(
        _ token: Secret<String>,
        name: String? = "New",
        password: String? = MemberHouse.password,
        signedIn: Person? = nil,
        visit: Visit? = nil
    ) async throws -> PeopleDirectory.Welcome {
        try await directory.accept(
            token: token, name: name, password: password.map(Secret.init), signedIn: signedIn,
            visit: visit ?? self.visit)
    }

    static let password = "four unrelated words, horse"

    func audits(_ action: Action, _ asker: Person?) -> AuditMaker {
        { [house, visit] resource, before, after in
            AuditEntry(
                id: house.ids.next(), at: house.clock.now(),
                actor: asker.map(visit.actor) ?? Actor(id: "operator", label: "operator", door: "cli"),
                action: action.rawValue, resource: resource, before: before, after: after)
        }
    }

    /// What the audit log says, one line a record: `chain action resource before after`.
    func log() async throws -> [String] {
        try await database.read { connection in
            try connection.rows(
                "SELECT chain, action, actor_label, resource, before_value, after_value FROM audit_records ORDER BY id"
            ).map { row in
                let values = try [row.text(0), row.text(1), row.text(2), row.text(3)]
                return
                    (values + [try row.optionalText(4) ?? "-", try row.optionalText(5) ?? "-"]).joined(separator: " ")
            }
        }
    }

    func owners() async throws -> Int64 {
        try await database.count("users", where: "role = 'owner' AND is_active = 1")
    }
}

extension PeopleDirectory.Handover {
    /// The text of a link that stands in an answer.
    var token: String {
        get throws {
            guard case .answered(let link) = self, let mark = link.reveal().firstRange(of: "#token=") else {
                throw PosternError(.notFound, "the link is in no answer")
            }
            return String(link.reveal()[mark.upperBound...])
        }
    }

    var isSent: Bool { if case .sent = self { true } else { false } }
}

/// Letters that were sent, for who wants to read them.
final class LetterBox: PeopleMail {
    struct Letter: Sendable {
        let to: String
        let subject: String
        let text: String
        let key: String
    }

    private let state = Mutex((letters: [Letter](), isBroken: false))

    var letters: [Letter] { state.withLock { $0.letters } }

    /// From now on no letter is taken.
    func breakDown() { state.withLock { $0.isBroken = true } }

    func send(to recipient: String, subject: String, text: String, key: String) async throws {
        try state.withLock { state in
            if state.isBroken { throw PosternError(.settingUnset, "there is no such vault") }
            state.letters.append(Letter(to: recipient, subject: subject, text: text, key: key))
        }
    }
}

/// A house with people on a database of its own.
func withMembers(
    _ engine: TestEngine = .standard,
    hasMail: Bool = false,
    _ configure: @Sendable (inout PeopleConfiguration) -> Void = { _ in },
    _ body: (MemberHouse) async throws -> Void
) async throws {
    try await withHouse(engine, settings: JSONObject()) { house in
        try await body(try await MemberHouse(house, hasMail: hasMail, configure))
    }
}
