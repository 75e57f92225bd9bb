// Single sign-on is set up completely or not at all; what cannot be meant is refused before the start.

import Model
import Sealing
import Testing

@testable import Environment

@Suite("OpenID configuration")
struct OpenIDConfigurationTests {
    private static let provider = [
        "POSTERN_OIDC_ISSUER": "https://accounts.example.com/", "POSTERN_OIDC_CLIENT_ID": "postern",
    ]

    private func configuration(_ more: [String: String] = [:]) throws -> OpenIDConfiguration? {
        try InstanceConfiguration(layers: [Self.provider.merging(more) { $1 }]).openID
    }

    private func problems(_ more: [String: String]) -> [String] {
        do throws(ConfigurationProblems) {
            _ = try InstanceConfiguration(layers: [Self.provider.merging(more) { $1 }])
            return []
        } catch {
            return error.problems
        }
    }

    @Test("without an issuer there is no provider")
    func nothing() throws {
        #expect(try InstanceConfiguration(layers: [[:]]).openID == nil)
    }

    @Test("an issuer and a client's id suffice, and the issuer stays as it was written")
    func least() throws {
        let openID = try #require(try configuration())
        #expect(openID.issuer == "https://accounts.example.com/")
        #expect(openID.clientID == "postern" && openID.clientSecret == nil && openID.clientSecretFile == nil)
        #expect(openID.scopes == ["openid", "email", "profile"])
        #expect(openID.groupsClaim == "groups" && openID.instanceRoles.isEmpty && openID.vaultRoles.isEmpty)
        #expect(openID.defaultRole == nil)
        #expect(openID.name == "Single sign-on")
    }

    @Test("groups give roles at the instance and in vaults; a name of a group may hold a sign of equality")
    func groups() throws {
        let text = " staff=member, admins = admin,ops=default:operator,ops=other:viewer,ou=x=viewer,staff=default:owner"
        let openID = try #require(
            try configuration([
                "POSTERN_OIDC_GROUP_ROLES": text, "POSTERN_OIDC_DEFAULT_ROLE": "viewer",
                "POSTERN_OIDC_GROUPS_CLAIM": "realm_access.roles", "POSTERN_OIDC_SCOPES": "email groups",
            ]))
        #expect(openID.instanceRoles == ["staff": .member, "admins": .admin, "ou=x": .viewer])
        #expect(openID.vaultRoles == ["ops": ["default": .operator, "other": .viewer], "staff": ["default": .owner]])
        #expect(openID.defaultRole == .viewer)
        #expect(openID.groupsClaim == "realm_access.roles")
        #expect(openID.scopes == ["openid", "email", "groups"])
    }

    @Test(
        "an issuer without TLS is one on this machine",
        arguments: [
            "http://127.0.0.1:9400", "http://localhost:9400/realms/a", "http://[::1]:9400", "https://id.example:8443",
        ])
    func issuers(_ issuer: String) throws {
        #expect(try configuration(["POSTERN_OIDC_ISSUER": issuer])?.issuer == issuer)
    }

    @Test(
        "an issuer that cannot be trusted is refused",
        arguments: [
            "http://accounts.example.com", "http://127.0.0.1.evil.example", "http://localhost.evil.example:80",
            "https://user:s3cret@accounts.example.com", "accounts.example.com", "https://", "https://a.example?x=1",
            "https://a.example#x", "ftp://a.example", "https://a example", "http://192.168.0.1",
        ])
    func wrongIssuers(_ issuer: String) {
        let problems = problems(["POSTERN_OIDC_ISSUER": issuer])
        #expect(problems.count == 1, "\(problems)")
        #expect(problems.first?.hasPrefix("POSTERN_OIDC_ISSUER ") == true)
        #expect(problems.first?.contains("s3cret") == false)
    }

    @Test("what does not go together is said all at once, and no secret with it")
    func together() {
        #expect(
            problems(["POSTERN_OIDC_CLIENT_ID": ""]) == [
                "POSTERN_OIDC_CLIENT_ID is unset, and POSTERN_OIDC_ISSUER needs it"
            ])
        let both = problems([
            "POSTERN_OIDC_CLIENT_SECRET": "s3cret", "POSTERN_OIDC_CLIENT_SECRET_FILE": "/run/secret",
            "POSTERN_OIDC_DEFAULT_ROLE": "admin", "POSTERN_OIDC_GROUPS_CLAIM": "roles",
        ])
        #expect(both.count == 3)
        #expect(!both.joined().contains("s3cret"))
        let alone = problems([
            "POSTERN_OIDC_ISSUER": "", "POSTERN_OIDC_CLIENT_ID": "postern", "POSTERN_OIDC_CLIENT_SECRET": "s3cret",
        ])
        #expect(
            alone == [
                "POSTERN_OIDC_CLIENT_ID is set, and POSTERN_OIDC_ISSUER is not",
                "POSTERN_OIDC_CLIENT_SECRET is set, and POSTERN_OIDC_ISSUER is not",
            ])
    }

    @Test(
        "a role that is none, and a group with two, are refused",
        arguments: [
            "staff", "staff=", "=member", "staff=chief", "staff=operator", "ops=default:member", "ops=default:",
            "ops=:viewer", "ops=a:b:viewer", "staff=member,staff=admin", "ops=default:viewer,ops=default:owner",
            "a=member,",
            "staff=Member",
        ])
    func wrongGroups(_ text: String) {
        let problems = problems(["POSTERN_OIDC_GROUP_ROLES": text])
        #expect(problems.count == 1, "\(problems)")
        #expect(problems.first?.hasPrefix("POSTERN_OIDC_GROUP_ROLES") == true)
    }

    @Test(
        "nobody becomes an admin or an owner for having an account at the provider",
        arguments: ["admin", "owner", "chief"])
    func defaultRole(_ role: String) {
        #expect(problems(["POSTERN_OIDC_DEFAULT_ROLE": role]).count == 1)
    }

    @Test("every key is known, and none is a typing error")
    func known() {
        #expect(Set(ConfigurationKey.openID).isSubset(of: ConfigurationKey.all))
        #expect(problems(["POSTERN_OIDC_CLIENTID": "x"]).count == 1)
    }
}
