// Single sign-on on a real database, against a provider in this process: what its suites begin with.

import CoreTestSupport
import Foundation
import JSON
import Logging
import Model
import OpenID
import OpenIDTestSupport
import People
import SQL
import Sealing
import Store
import Testing
import Vaults

struct SingleSignOnHouse: Sendable {
    static let visit = Visit(address: "192.0.2.7", userAgent: "tests/1", requestID: "req_1")

    let people: PeopleHouse
    let vaults: VaultDirectory
    let directory: PeopleDirectory
    let provider: TestProvider
    let signer: TestSigner
    let signOn: SingleSignOn

    /// How a sign-in ended for the person in front of the browser.
    enum Ending: Sendable {
        case signedIn(SignedIn, page: String)
        case program(String)
        case refused(PosternError)

        var signedIn: SignedIn? { if case .signedIn(let signedIn, _) = self { signedIn } else { nil } }
        var refusal: PosternError? { if case .refused(let error) = self { error } else { nil } }
    }

    static func with<Result>(
        on engine: TestEngine = .standard,
        _ adjust: (inout SingleSignOnConfiguration) -> Void = { _ in },
        _ body: (SingleSignOnHouse) async throws -> Result
    ) async throws -> Result {
        try await withPeople(engine) { people in
            let clock = people.clock
            return try await TestProvider.with(now: { clock.now().seconds }) { provider in
                let vaults = VaultDirectory(
                    database: people.database, masterKey: .random(), instanceDefaults: [:], clock: clock,
                    ids: people.ids)
                let logger = Logger(label: "tests", factory: { _ in SwiftLogNoOpLogHandler() })
                let directory = PeopleDirectory(
                    database: people.database, vaults: vaults, sessions: people.sessions, accounts: people.accounts,
                    desk: people.desk, mail: nil, configuration: people.configuration, clock: clock, ids: people.ids,
                    logger: logger)
                var configuration = SingleSignOnConfiguration(
                    name: "Tests", scopes: ["openid", "email", "profile"], groupsClaim: "groups",
                    publicURL: people.configuration.publicURL)
                adjust(&configuration)
                let signer = TestSigner.ec()
                try provider.publish(signer)
                let signOn = SingleSignOn(
                    configuration: configuration, provider: provider.provider, database: people.database,
                    instanceKey: people.key, vaults: vaults, sessions: people.sessions, desk: people.desk,
                    directory: directory, clock: clock, ids: people.ids, logger: logger)
                return try await body(
                    SingleSignOnHouse(
                        people: people, vaults: vaults, directory: directory, provider: provider, signer: signer,
                        signOn: signOn))
            }
        }
    }

    /// The same house with other rules, as after a restart.
    func reconfigured(_ adjust: (inout SingleSignOnConfiguration) -> Void) -> SingleSignOnHouse {
        var configuration = signOn.configuration
        adjust(&configuration)
        let logger = Logger(label: "tests", factory: { _ in SwiftLogNoOpLogHandler() })
        return SingleSignOnHouse(
            people: people, vaults: vaults, directory: directory, provider: provider, signer: signer,
            signOn: SingleSignOn(
                configuration: configuration, provider: provider.provider, database: people.database,
                instanceKey: people.key, vaults: vaults, sessions: people.sessions, desk: people.desk,
                directory: directory, clock: people.clock, ids: people.ids, logger: logger))
    }

    /// The fields of the address that a browser is sent to.
    static func fields(_ url: String) -> [String: String] {
        var fields: [String: String] = [:]
        for pair in url.split(separator: "?", maxSplits: 1).dropFirst().joined().split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            fields[String(halves[0])] = String(halves.last ?? "").removingPercentEncoding ?? ""
        }
        return fields
    }

    /// The provider's next answer: a token for whom the browser was sent with this question.
    func vouch(for start: SingleSignOn.Start, _ claims: KeyValuePairs<String, String?>) throws {
        let nonce = Self.fields(start.url)["nonce"] ?? ""
        provider.answer(try signer.token(provider.claims(claims, nonce: nonce)))
    }

    func answer(_ start: SingleSignOn.Start, code: String? = "c0de", error: String? = nil) -> SingleSignOn.Answer {
        SingleSignOn.Answer(
            state: Self.fields(start.url)["state"] ?? "", code: code.map { Secret($0) }, error: error, issuer: nil)
    }

    /// A whole sign-in in one browser.
    func signIn(
        _ claims: KeyValuePairs<String, String?> = [:],
        to destination: SingleSignOnDestination = .page("/"),
        again person: Person? = nil
    ) async throws -> Ending {
        let start = try await signOn.begin(to: destination, person: person)
        try vouch(for: start, claims)
        return try await finish(start, person: person)
    }

    func finish(_ start: SingleSignOn.Start, person: Person? = nil) async throws -> Ending {
        let finish = try await signOn.finish(
            answer(start), browser: start.browser, person: person, visit: Self.visit)
        switch finish.result {
        case .signedIn(let signedIn, let page): return .signedIn(signedIn, page: page)
        case .program(let url): return .program(url)
        case .refused(let error, _): return .refused(error)
        }
    }

    func user(_ email: String = "ada@example.com") async throws -> User? { try await people.users.find(email: email) }

    func memberships(_ email: String = "ada@example.com") async throws -> [String: String] {
        try await people.database.read { connection in
            let rows = try connection.rows(
                """
                SELECT vaults.slug, memberships.role, memberships.source FROM memberships
                JOIN users ON users.id = memberships.user_id JOIN vaults ON vaults.id = memberships.vault_id
                WHERE users.email_key = \(email)
                """)
            return try rows.reduce(into: [:]) { $0[try $1.text(0)] = "\(try $1.text(1)) by \(try $1.text(2))" }
        }
    }
}
