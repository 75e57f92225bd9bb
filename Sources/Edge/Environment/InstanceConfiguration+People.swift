// What the configuration says of people: sessions, sign-in, the mail to them, the instance's audit log, trusted proxies.

package import MIME
package import Model

extension InstanceConfiguration {
    package struct People: Sendable {
        /// Who letters to people come from.
        package struct Mail: Sendable {
            package var vault: String
            package var from: EmailAddress
        }

        /// Seconds.
        package var sessionIdle: Int
        package var sessionLifetime: Int
        package var accessTokenLifetime: Int
        package var refreshTokenLifetime: Int
        package var allowsPasswords: Bool
        package var requiresSecondFactor: Bool
        /// Failed sign-ins in 15 minutes.
        package var accountAttempts: Int
        package var addressAttempts: Int
        package var mail: Mail?
        /// `nil`: for ever.
        package var auditRetentionDays: Int?
        package var trustedProxies: [IPNetwork]

        init(_ source: inout ConfigurationSource) {
            let lifetime = source.integer(.sessionLifetime, in: 300...31_536_000, default: 604_800)
            // Where only the lifetime is short, silence is not allowed for longer.
            let idle = source.integer(.sessionIdle, in: 60...2_592_000, default: min(43_200, lifetime))
            if idle > lifetime {
                source.problem("POSTERN_SESSION_IDLE is longer than POSTERN_SESSION_LIFETIME, which ends every session")
            }
            (sessionIdle, sessionLifetime) = (idle, lifetime)
            accessTokenLifetime = source.integer(.accessTokenLifetime, in: 30...86_400, default: 900)
            refreshTokenLifetime = source.integer(.refreshTokenLifetime, in: 300...31_536_000, default: 2_592_000)
            allowsPasswords = source.boolean(.passwordSignIn, default: true)
            requiresSecondFactor = source.boolean(.requireSecondFactor, default: false)
            accountAttempts = source.integer(.signInAccountAttempts, in: 3...1000, default: 10)
            addressAttempts = source.integer(.signInAddressAttempts, in: 3...100_000, default: 30)
            mail = Self.mail(&source)
            auditRetentionDays =
                source.text(.auditRetentionDays) == nil
                ? nil : source.integer(.auditRetentionDays, in: 1...36_500, default: 36_500)
            trustedProxies = Self.networks(.trustedProxies, &source)
            if !allowsPasswords, source.text("POSTERN_OIDC_ISSUER") == nil {
                source.problem("POSTERN_PASSWORD_SIGN_IN is off and POSTERN_OIDC_ISSUER is unset: nobody could sign in")
            }
        }

        private static func mail(_ source: inout ConfigurationSource) -> Mail? {
            let (vault, from) = (source.text(.peopleMailVault), source.text(.peopleMailFrom))
            guard vault != nil || from != nil else { return nil }
            guard let vault, let from else {
                source.problem("POSTERN_PEOPLE_MAIL_VAULT and POSTERN_PEOPLE_MAIL_FROM belong together")
                return nil
            }
            guard let sender = try? EmailAddress(parsing: from) else {
                source.problem("POSTERN_PEOPLE_MAIL_FROM must be a mail address")
                return nil
            }
            return Mail(vault: vault, from: sender)
        }

        private static func networks(_ key: ConfigurationKey, _ source: inout ConfigurationSource) -> [IPNetwork] {
            let parts = source.text(key)?.split(separator: ",", omittingEmptySubsequences: false) ?? []
            guard parts.count <= 64 else {
                source.problem("\(key.name) has \(parts.count) networks, and takes at most 64")
                return []
            }
            var networks: [IPNetwork] = []
            for part in parts {
                do throws(SettingProblem) {
                    let network = try IPNetwork(parsing: String(part.trimmed))
                    // A proxy is one of few machines: with everybody for one, anybody could choose an address.
                    guard !["0.0.0.0/0", "::/0"].contains(network.description) else {
                        throw SettingProblem("\(network) is everybody")
                    }
                    networks.append(network)
                } catch {
                    source.problem("\(key.name): \(error.message)")
                }
            }
            return networks
        }
    }
}
