// What the configuration says of single sign-on: one provider, or none.

package import Model
package import Sealing
import WebClient

package struct OpenIDConfiguration: Sendable {
    /// Byte for byte as it was written: a slash at its end is part of it.
    package var issuer: String
    package var clientID: String
    package var clientSecret: Secret<String>?
    /// Holds the secret, in place of the one above.
    package var clientSecretFile: String?
    package var scopes: [String]
    package var groupsClaim: String
    /// Roles at the instance by group.
    package var instanceRoles: [String: InstanceRole]
    /// Roles in vaults by group, then by the vault's slug.
    package var vaultRoles: [String: [String: VaultRole]]
    package var defaultRole: InstanceRole?
    package var name: String

    /// - Returns: `nil` where there is no provider, or where problems were added.
    init?(_ source: inout ConfigurationSource) {
        guard let issuer = source.text(.openIDIssuer) else {
            for key in ConfigurationKey.openID.dropFirst() where source.text(key) != nil {
                source.problem("\(key.name) is set, and POSTERN_OIDC_ISSUER is not")
            }
            return nil
        }
        if let problem = Self.problem(ofIssuer: issuer) { source.problem("POSTERN_OIDC_ISSUER \(problem)") }
        self.issuer = issuer
        clientID = source.text(.openIDClientID) ?? ""
        if clientID.isEmpty { source.problem("POSTERN_OIDC_CLIENT_ID is unset, and POSTERN_OIDC_ISSUER needs it") }
        clientSecret = source.text(.openIDClientSecret).map(Secret.init)
        clientSecretFile = source.text(.openIDClientSecretFile)
        if clientSecret != nil, clientSecretFile != nil {
            source.problem(
                "POSTERN_OIDC_CLIENT_SECRET and POSTERN_OIDC_CLIENT_SECRET_FILE are both set; keep one of them")
        }
        scopes = Self.scopes(&source)
        groupsClaim = source.text(.openIDGroupsClaim) ?? "groups"
        (instanceRoles, vaultRoles) = Self.groupRoles(&source)
        if source.text(.openIDGroupsClaim) != nil, source.text(.openIDGroupRoles) == nil {
            source.problem(
                "POSTERN_OIDC_GROUPS_CLAIM is set, and POSTERN_OIDC_GROUP_ROLES is not: the groups would do nothing")
        }
        defaultRole = Self.defaultRole(&source)
        name = source.text(.openIDName) ?? "Single sign-on"
        if name.utf8.count > 100 { source.problem("POSTERN_OIDC_NAME is longer than 100 bytes") }
    }

    /// People's addresses, groups and so roles come from there: nobody on the way may have a word in it.
    private static func problem(ofIssuer issuer: String) -> String? {
        do throws(WebError) {
            let endpoint = try WebEndpoint.parse(issuer)
            guard endpoint.authorization == nil else { return "must not hold credentials" }
            let host = endpoint.origin.drop { $0 != "/" }.dropFirst(2)
            let isLocal = ["127.0.0.1", "[::1]", "localhost"].contains { host == $0 || host.hasPrefix("\($0):") }
            guard issuer.hasPrefix("https://") || (issuer.hasPrefix("http://") && isLocal) else {
                return "must begin with https://, but for a provider on this machine"
            }
            return nil
        } catch {
            return "cannot be used: \(error.message)"
        }
    }

    private static func scopes(_ source: inout ConfigurationSource) -> [String] {
        let words = (source.text(.openIDScopes) ?? "openid email profile").split(separator: " ").map(String.init)
        // RFC 6749 §3.3.
        let isScope: (String) -> Bool = { word in
            word.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
        }
        guard words.allSatisfy(isScope), words.count <= 32 else {
            source.problem("POSTERN_OIDC_SCOPES must be at most 32 words, separated by spaces")
            return []
        }
        return words.contains("openid") ? words : ["openid"] + words
    }

    /// Whoever the provider lets in would be that.
    private static func defaultRole(_ source: inout ConfigurationSource) -> InstanceRole? {
        guard let text = source.text(.openIDDefaultRole) else { return nil }
        guard let role = InstanceRole(rawValue: text), role <= .member else {
            source.problem("POSTERN_OIDC_DEFAULT_ROLE is \"\(text.prefix(40))\", and must be one of viewer, member")
            return nil
        }
        return role
    }

    private static func groupRoles(
        _ source: inout ConfigurationSource
    ) -> ([String: InstanceRole], [String: [String: VaultRole]]) {
        var instance: [String: InstanceRole] = [:]
        var vaults: [String: [String: VaultRole]] = [:]
        let entries = source.text(.openIDGroupRoles)?.split(separator: ",", omittingEmptySubsequences: false) ?? []
        if entries.count > 1000 { source.problem("POSTERN_OIDC_GROUP_ROLES has more than 1000 entries") }
        for entry in entries.prefix(1000) {
            // The last sign of equality: names of directories' groups hold some of their own.
            guard let equals = entry.lastIndex(of: "=") else {
                source.problem("POSTERN_OIDC_GROUP_ROLES: \"\(entry.prefix(60))\" has no =")
                continue
            }
            let group = String(entry[..<equals].trimmed)
            let gift = String(entry[entry.index(after: equals)...].trimmed)
            let parts = gift.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            if group.isEmpty {
                source.problem("POSTERN_OIDC_GROUP_ROLES: \"\(entry.prefix(60))\" names no group")
            } else if parts.count == 1, let role = InstanceRole(rawValue: gift) {
                if instance.updateValue(role, forKey: group) != nil {
                    source.problem("POSTERN_OIDC_GROUP_ROLES gives \"\(group.prefix(60))\" two roles at the instance")
                }
            } else if parts.count == 2, !parts[0].isEmpty, let role = VaultRole(rawValue: parts[1]) {
                if vaults[group, default: [:]].updateValue(role, forKey: parts[0]) != nil {
                    source.problem(
                        "POSTERN_OIDC_GROUP_ROLES gives \"\(group.prefix(60))\" two roles in the vault \(parts[0].prefix(60))"
                    )
                }
            } else {
                source.problem(
                    "POSTERN_OIDC_GROUP_ROLES: \"\(gift.prefix(60))\" is neither a role (viewer, member, admin, owner) nor "
                        + "VAULT:ROLE (viewer, operator, owner)")
            }
        }
        return (instance, vaults)
    }
}
