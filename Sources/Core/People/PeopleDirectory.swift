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
    func hand(
        _ link: Secret<String>,
        to email: String,
        key: String,
        _ letter: (_ link: String) -> PeopleLetter
    ) async -> Handover {
        guard let mail else { return .answered(link) }
        let letter = letter(link.reveal())
        do {
            try await mail.send(to: email, subject: letter.subject, text: letter.text, key: key)
            return .sent
        } catch {
            logger.warning(
                "a letter to a person was not taken, so its link is in the answer",
                metadata: ["error": "\(PosternError(describing: error).code.rawValue)"])
            return .answered(link)
        }
    }
}
