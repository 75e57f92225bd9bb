// The configuration of people: what holds without any, which values are refused, and what must not be believed.

import Model
import Testing

@testable import Environment

@Suite("Configuration of people")
struct PeopleConfigurationTests {
    private func read(_ values: [String: String]) throws(ConfigurationProblems) -> InstanceConfiguration.People {
        try InstanceConfiguration(layers: [values]).people
    }

    private func problems(_ values: [String: String]) -> [String] {
        do throws(ConfigurationProblems) {
            _ = try InstanceConfiguration(layers: [values])
            return []
        } catch {
            return error.problems
        }
    }

    @Test("without any key people sign in by password, nobody's word on addresses is believed, and no mail is sent")
    func defaults() throws {
        let people = try read([:])
        #expect((people.sessionIdle, people.sessionLifetime) == (12 * 3600, 7 * 86_400))
        #expect((people.accessTokenLifetime, people.refreshTokenLifetime) == (900, 30 * 86_400))
        #expect((people.accountAttempts, people.addressAttempts) == (10, 30))
        #expect(people.allowsPasswords && !people.requiresSecondFactor)
        #expect(people.mail == nil)
        #expect(people.auditRetentionDays == nil)
        #expect(people.trustedProxies.isEmpty)
    }

    @Test("what is set holds")
    func values() throws {
        let people = try read([
            "POSTERN_SESSION_IDLE": "600", "POSTERN_SESSION_LIFETIME": "3600", "POSTERN_ACCESS_TOKEN_LIFETIME": "60",
            "POSTERN_REFRESH_TOKEN_LIFETIME": "7200", "POSTERN_REQUIRE_SECOND_FACTOR": "true",
            "POSTERN_SIGN_IN_ACCOUNT_ATTEMPTS": "5", "POSTERN_SIGN_IN_ADDRESS_ATTEMPTS": "6",
            "POSTERN_PEOPLE_MAIL_VAULT": "house", "POSTERN_PEOPLE_MAIL_FROM": "postern@example.com",
            "POSTERN_AUDIT_RETENTION_DAYS": "365",
        ])
        #expect((people.sessionIdle, people.sessionLifetime) == (600, 3600))
        #expect((people.accessTokenLifetime, people.refreshTokenLifetime) == (60, 7200))
        #expect((people.accountAttempts, people.addressAttempts) == (5, 6))
        #expect(people.requiresSecondFactor)
        #expect(people.mail?.vault == "house")
        #expect(people.mail.map { "\($0.from)" } == "postern@example.com")
        #expect(people.auditRetentionDays == 365)
    }

    @Test(
        "a value that cannot be used is named with its key",
        arguments: [
            ("POSTERN_SESSION_IDLE", "59"), ("POSTERN_SESSION_IDLE", "12h"), ("POSTERN_SESSION_IDLE", "nan"),
            ("POSTERN_SESSION_LIFETIME", "0"), ("POSTERN_SESSION_LIFETIME", "inf"),
            ("POSTERN_ACCESS_TOKEN_LIFETIME", "29"), ("POSTERN_ACCESS_TOKEN_LIFETIME", "86401"),
            ("POSTERN_REFRESH_TOKEN_LIFETIME", "-1"), ("POSTERN_PASSWORD_SIGN_IN", "perhaps"),
            ("POSTERN_REQUIRE_SECOND_FACTOR", "2"), ("POSTERN_SIGN_IN_ACCOUNT_ATTEMPTS", "2"),
            ("POSTERN_SIGN_IN_ACCOUNT_ATTEMPTS", "1001"), ("POSTERN_SIGN_IN_ADDRESS_ATTEMPTS", "0"),
            ("POSTERN_SIGN_IN_ADDRESS_ATTEMPTS", "unlimited"), ("POSTERN_AUDIT_RETENTION_DAYS", "0"),
            ("POSTERN_AUDIT_RETENTION_DAYS", "1.5"), ("POSTERN_TRUSTED_PROXIES", "proxy.example.com"),
            ("POSTERN_TRUSTED_PROXIES", "10.0.0.1/8"), ("POSTERN_TRUSTED_PROXIES", "10.0.0.1,"),
            ("POSTERN_TRUSTED_PROXIES", "127.0.0.1 10.0.0.1"),
        ])
    func badValue(key: String, value: String) {
        let problems = problems([key: value])
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix(key) == true, "\(problems)")
        #expect(problems.allSatisfy { $0.utf8.count < 200 })
    }

    @Test("a session that may be silent for longer than it lasts is a mistake, and a short life alone is none")
    func idleAndLifetime() throws {
        #expect(problems(["POSTERN_SESSION_IDLE": "7200", "POSTERN_SESSION_LIFETIME": "3600"]).count == 1)
        let people = try read(["POSTERN_SESSION_LIFETIME": "3600"])
        #expect((people.sessionIdle, people.sessionLifetime) == (3600, 3600))
    }

    @Test("mail to people needs the vault and the sender, and the sender is an address")
    func mail() {
        #expect(problems(["POSTERN_PEOPLE_MAIL_VAULT": "house"]).count == 1)
        #expect(problems(["POSTERN_PEOPLE_MAIL_FROM": "a@example.com"]).count == 1)
        let wrong = problems(["POSTERN_PEOPLE_MAIL_VAULT": "house", "POSTERN_PEOPLE_MAIL_FROM": "Postern"])
        #expect(wrong.first?.hasPrefix("POSTERN_PEOPLE_MAIL_FROM") == true)
    }

    @Test("a start in which nobody could sign in is refused")
    func noWayIn() {
        #expect(problems(["POSTERN_PASSWORD_SIGN_IN": "false"]).contains { $0.contains("POSTERN_OIDC_ISSUER") })
    }

    @Test("proxies are networks of both families, and are not everybody")
    func proxies() throws {
        let networks = try read(["POSTERN_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8 ,2001:db8::/32"]).trustedProxies
        #expect(networks.map(\.description) == ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"])
        for everybody in ["0.0.0.0/0", "::/0", "10.0.0.0/8,::/0"] {
            #expect(problems(["POSTERN_TRUSTED_PROXIES": everybody]).count == 1, "\(everybody)")
        }
        let many = (0..<65).map { "10.0.0.\($0)" }.joined(separator: ",")
        #expect(problems(["POSTERN_TRUSTED_PROXIES": many]).count == 1)
    }
}
