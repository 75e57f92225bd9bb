// The people of the instance as those see them who look after them: accounts, memberships of vaults, invitations. The rules
// are asked inside the transaction of each change, of how everybody stands at that moment.

package import Logging
package import Model
package import SQL
package import Sealing
package import Store
package import Vaults

/// `by` is who asks; the gate has let them come this far. `nil` is the operator, on the instance's own machine.
package final class PeopleDirectory: Sendable {
    let users: UserRepository
    let memberships: MembershipRepository
    let invitations: InvitationRepository
    let attempts: SignInAttemptRepository
    let vaults: VaultDirectory
    let sessions: SessionKeeper
    let accounts: AccountKeeper
    let desk: SignInDesk
    let mail: (any PeopleMail)?
    let configuration: PeopleConfiguration
    let clock: any WallClock
    let ids: IdentifierGenerator
    let logger: Logger

    /// - Parameter mail: `nil`: links stand in the answers, and whoever asked for one hands it over.
    package init(
        database: any SQLDatabase, vaults: VaultDirectory, sessions: SessionKeeper, accounts: AccountKeeper,
        desk: SignInDesk, mail: (any PeopleMail)?, configuration: PeopleConfiguration, clock: any WallClock,
        ids: IdentifierGenerator, logger: Logger
    ) {
        users = UserRepository(database: database)
        memberships = MembershipRepository(database: database)
        invitations = InvitationRepository(database: database)
        attempts = SignInAttemptRepository(database: database)
        self.vaults = vaults
        self.sessions = sessions
        self.accounts = accounts
        self.desk = desk
        self.mail = mail
        self.configuration = configuration
        self.clock = clock
        self.ids = ids
        self.logger = logger
    }

    /// A user with the vaults that they belong to.
    package struct Profile: Sendable {
        package let user: User
        package let vaults: [JoinedVault]
    }

    /// What became of a link.
    package enum Handover: Sendable {
        /// In a letter, to the one whom it is for, and to nobody else.
        case sent
        /// To whoever asked for it.
        case answered(Secret<String>)
    }

    /// Sends a letter with a link; the link comes back where there is no mail, or it did not take the letter.
    /// - Parameter isSecret: the link opens an account that somebody has: where there is mail, nobody else gets it.
    /// - Throws: `overloaded` where the letter was not taken, and the link is secret.
    func hand(
        _ link: Secret<String>,
        to email: String,
        key: String,
        isSecret: Bool = false,
        _ letter: (_ link: String) -> PeopleLetter
    ) async throws(PosternError) -> Handover {
        guard let mail else { return .answered(link) }
        let letter = letter(link.reveal())
        do {
            try await mail.send(to: email, subject: letter.subject, text: letter.text, key: key)
            return .sent
        } catch {
            logger.warning(
                isSecret
                    ? "a letter to a person was not taken"
                    : "a letter to a person was not taken, so its link is in the answer",
                metadata: ["error": "\(PosternError(describing: error).code.rawValue)"])
            if isSecret {
                throw PosternError(
                    .overloaded,
                    "the letter with the link was not taken, and nobody but the account's owner gets the link",
                    fix: "Have the vault that people's mail is sent from looked into, then ask again.")
            }
            return .answered(link)
        }
    }
}
