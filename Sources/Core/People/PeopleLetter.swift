// What the letters to people say. No word in them is chosen by whoever causes one, beside addresses and the slugs of
// vaults: nobody can have Postern send a text of their own to a stranger.

package import Logging
package import Model
package import Store

package struct PeopleLetter: Hashable, Sendable {
    package let subject: String
    package let text: String

    /// - Parameters:
    ///   - inviter: the address of who invites.
    ///   - vaults: slugs, with the role in each.
    package static func invitation(
        link: String,
        inviter: String,
        host: String,
        vaults: [(slug: String, role: VaultRole)],
        expiresAt: Timestamp
    ) -> PeopleLetter {
        let joins = vaults.map { "  \($0.slug) (\($0.role.rawValue))\n" }.joined()
        return PeopleLetter(
            subject: "You are invited to Postern",
            text: """
                \(inviter) invites you to \(host), where Postern guards the mail of agents and tools.
                \(joins.isEmpty ? "" : "\nYou would be a member of these vaults:\n\(joins)")
                To accept, open this link and choose a password, or sign in if you have an account:

                  \(link)

                Without a browser: postern invitation accept --url \(host)

                It works once, until \(expiresAt.description). Do not pass it on.
                If you did not expect this, do nothing: without the link there is no account.

                """)
    }

    /// For an account that somebody made: the link sets its first password.
    package static func account(link: String, maker: String, host: String) -> PeopleLetter {
        PeopleLetter(
            subject: "Your account at Postern",
            text: """
                \(maker) made an account for you at \(host). Open this link to choose a password:

                  \(link)

                It works once, and only for a short time. Do not pass it on.

                """)
    }

    package static func passwordReset(link: String, host: String) -> PeopleLetter {
        PeopleLetter(
            subject: "A new password for Postern",
            text: """
                Somebody asked for a new password for your account at \(host). Open this link to choose one:

                  \(link)

                It works once, and only for a short time. Your second factor is still asked for.
                If it was not you, do nothing: the password stays as it is.

                """)
    }

    /// What happened to an account, told to its owner.
    package enum Notice: String, Hashable, Sendable, CaseIterable {
        case passwordChanged = "the password was changed, and all other sessions were ended"
        case secondFactorAdded = "a second factor was added"
        case secondFactorRemoved = "the second factor was removed"
        case recoveryCodesReplaced = "the recovery codes were replaced"
        case identityJoined = """
            it was joined with single sign-on, and whatever else opened it was taken away: the password, the second \
            factor, and all sessions
            """
        case roleChanged = "the role at the instance was changed"
        case sessionStolen = "a refresh token was used twice, and its session was ended: somebody may have copied it"
    }

    /// - Parameter address: where the request came from, if over a network.
    package static func notice(_ notice: Notice, host: String, address: String?, at time: Timestamp) -> PeopleLetter {
        PeopleLetter(
            subject: "A change of your account at Postern",
            text: """
                Your account at \(host): \(notice.rawValue).

                  When:  \(time.description)
                  From:  \(address ?? "an admin or the operator")

                If it was not you, set a new password at once, and tell an admin of the instance.

                """)
    }
}

extension PeopleMail {
    /// Tells somebody what happened to their account. It happened, whether or not the letter is taken.
    /// - Parameters:
    ///   - host: what people's browsers ask.
    ///   - address: where the request came from; `nil`: somebody else did it, or it was done on the machine.
    package func tell(
        _ user: User,
        of notice: PeopleLetter.Notice,
        at host: String,
        from address: String?,
        when time: Timestamp,
        logger: Logger
    ) async {
        let letter = PeopleLetter.notice(notice, host: host, address: address, at: time)
        do {
            try await send(
                to: user.email, subject: letter.subject, text: letter.text,
                key: "notice/\(notice)/\(user.id.text)/\(time.milliseconds)")
        } catch {
            logger.warning(
                "a notice to a person was not taken",
                metadata: ["error": "\(PosternError(describing: error).code.rawValue)"])
        }
    }
}
