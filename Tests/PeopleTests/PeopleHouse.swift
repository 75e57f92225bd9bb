// People on a real database: what the suites of sign-ins, sessions and accounts begin with.

import CoreTestSupport
import CryptoExtras
import FoundationEssentials
import JSON
import Model
import People
import SQL
import Sealing
import Store
import Synchronization
import TestSupport
import Vaults

struct PeopleHouse: Sendable {
    static let password = Secret("four unrelated words")
    static let visit = Visit(address: "192.0.2.7", userAgent: "tests/1", requestID: "req_1")

    let database: any SQLDatabase
    let clock: ManualClock
    let ids: IdentifierGenerator
    let key: InstanceKey
    let configuration: PeopleConfiguration
    let sessions: SessionKeeper
    let desk: SignInDesk
    let accounts: AccountKeeper
    let users: UserRepository
    let mail: MailRecorder

    init(
        _ database: any SQLDatabase,
        _ adjust: (inout PeopleConfiguration) -> Void = { _ in }
    ) async throws {
        let clock = ManualClock()
        var configuration = PeopleConfiguration(publicURL: "https://mail.example.com/")
        adjust(&configuration)
        let key = try await InstanceKey.open(database: database, masterKey: .random(), clock: clock)
        self.init(
            database, clock, IdentifierGenerator(process: 7, clock: clock), key, configuration,
            await SessionKeeper(
                database: database, instanceKey: key, configuration: configuration, clock: clock,
                ids: IdentifierGenerator(process: 8, clock: clock)))
    }

    private init(
        _ database: any SQLDatabase, _ clock: ManualClock, _ ids: IdentifierGenerator, _ key: InstanceKey,
        _ configuration: PeopleConfiguration, _ sessions: SessionKeeper
    ) {
        self.database = database
        self.clock = clock
        self.ids = ids
        self.key = key
        self.configuration = configuration
        self.sessions = sessions
        desk = SignInDesk(sessions: sessions)
        mail = MailRecorder()
        accounts = AccountKeeper(sessions: sessions, mail: mail)
        users = UserRepository(database: database)
    }

    /// Another process on the same database, or this one after a restart.
    func neighbour() async -> PeopleHouse {
        PeopleHouse(
            database, clock, ids, key, configuration,
            await SessionKeeper(
                database: database, instanceKey: key, configuration: configuration, clock: clock,
                ids: IdentifierGenerator(process: 9, clock: clock)))
    }

    @discardableResult
    func add(
        _ email: String = "ada@example.com",
        name: String = "Ada",
        role: InstanceRole = .member,
        password: Secret<String>? = PeopleHouse.password
    ) async throws -> User {
        let hash = try password.map(Self.cheapHash)
        return try await users.insert(
            User(id: ids.next(), email: email, name: name, role: role, createdAt: clock.now()), passwordHash: hash,
            audit: audit(.userWrite))
    }

    /// As `PasswordHash` writes it, with parameters that cost nothing: the suites sign in some hundred times.
    static func cheapHash(_ password: Secret<String>) throws -> String {
        let salt = Array("sixteen bytes ok".utf8)
        let hash = try KDF.Scrypt.deriveKey(
            from: Array(password.reveal().utf8), salt: salt, outputByteCount: 32, rounds: 2, blockSize: 1,
            parallelism: 1
        ).withUnsafeBytes { Data($0) }
        return "scrypt$2$1$1$\(Data(salt).base64EncodedString())$\(hash.base64EncodedString())"
    }

    func audit(_ action: Action) -> AuditMaker {
        { [ids, clock] resource, before, after in
            AuditEntry(
                id: ids.next(), at: clock.now(), actor: Actor(id: "tests", label: "tests", door: "cli"),
                action: action.rawValue, resource: resource, before: before, after: after)
        }
    }

    func signIn(
        _ email: String = "ada@example.com",
        _ password: Secret<String> = PeopleHouse.password,
        code: String? = nil,
        from address: String? = "192.0.2.7"
    ) async throws -> SignedIn {
        try await desk.signIn(
            email: email, password: password, code: code.map { Secret($0) }, visit: Visit(address: address))
    }

    /// The person of a session, by its cookie.
    func person(_ signedIn: SignedIn) async throws -> Person {
        try await sessions.person(cookie: signedIn.cookie)
    }

    /// Gives somebody a second factor, and says what their authenticator knows and what stands on their paper.
    func secondFactor(_ signedIn: SignedIn) async throws -> (totp: TOTP, recovery: [Secret<String>]) {
        let secret = try await accounts.beginTOTP(signedIn.person, visit: Self.visit).secret
        guard let bytes = Base32.decode(secret.reveal()) else { throw NeverHappened("a secret in base32") }
        let totp = TOTP(secret: Secret(bytes))
        let codes = try await accounts.confirmTOTP(signedIn.person, code: code(totp), visit: Self.visit)
        return (totp, codes)
    }

    /// Runs a body while the letters are sent.
    func withLetters(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await accounts.run() }
            try await body()
            group.cancelAll()
        }
    }

    /// What an authenticator shows, so many steps from now.
    func code(_ totp: TOTP, steps: Int64 = 0) -> Secret<String> {
        totp.code(step: TOTP.step(at: clock.now().seconds) + steps)
    }

    /// A vault, without anything in it.
    func vault(_ slug: String = "default") async throws -> VaultID {
        let id: VaultID = ids.next()
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO vaults (id, slug, name, data_key, created_at) VALUES (\(id.text), \(slug), \(slug),
                    \([UInt8]([1])), 0)
                """)
        }
        return id
    }

    func join(_ user: User, _ vault: VaultID, as role: VaultRole) async throws {
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO memberships (vault_id, user_id, role, source, created_at, updated_at)
                VALUES (\(vault.text), \(user.id.text), \(role.rawValue), 'people', 0, 0)
                """)
        }
    }

    /// Records of the audit log with this action, oldest first: actor, outcome, reason, what came after.
    func records(_ action: Action) async throws -> [(actor: String, outcome: String, reason: String?, after: String?)] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT actor_label, outcome, reason, after_value FROM audit_records
                WHERE action = \(action.rawValue) AND vault_id IS NULL ORDER BY sequence
                """
            ).map { (try $0.text(0), try $0.text(1), try $0.optionalText(2), try $0.optionalText(3)) }
        }
    }
}

func withPeople<Result>(
    _ engine: TestEngine = .standard,
    _ adjust: (inout PeopleConfiguration) -> Void = { _ in },
    _ body: (PeopleHouse) async throws -> Result
) async throws -> Result {
    try await withDatabase(engine) { try await body(try await PeopleHouse($0, adjust)) }
}

/// The code that something was refused with; `nil`: it was not.
func refusal(_ attempt: () async throws -> Void) async throws -> ErrorCode? {
    do {
        try await attempt()
        return nil
    } catch let error as PosternError {
        return error.code
    }
}

final class MailRecorder: PeopleMail {
    struct Letter: Sendable {
        let to: String
        let text: String

        /// The token of the link in it.
        var token: Secret<String>? {
            text.split(separator: "#token=").dropFirst().first
                .map { Secret(String($0.prefix { !$0.isWhitespace })) }
        }
    }

    private let sent = Mutex<[Letter]>([])

    var letters: [Letter] { sent.withLock { $0 } }

    /// Those with a link in them.
    var links: [Letter] { letters.filter { $0.token != nil } }

    func send(to: String, subject: String, text: String, key: String) async throws {
        sent.withLock { $0.append(Letter(to: to, text: text)) }
    }
}
