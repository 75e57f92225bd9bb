// What knows people, put together: sessions, sign-in, accounts, administration, single sign-on.

import Environment
import Gate
import HTTPAPI
import Logging
import MIME
import Model
import OpenID
import Outbox
import People
import SQL
import Sealing
import ServiceLifecycle
import Store
import Vaults
import WebClient

struct PeopleWiring {
    let configuration: PeopleConfiguration
    let services: HTTPAPI.PeopleServices
    /// What runs beside the doors: letters, and the sweeping away of what has ended.
    let background: [any Service]

    init(
        _ configuration: InstanceConfiguration,
        publicURL: String,
        database: any SQLDatabase,
        vaults: VaultDirectory,
        instanceKey: InstanceKey,
        pipeline: SendPipeline,
        web: WebClient,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger
    ) async throws {
        let people = PeopleConfiguration(configuration.people, publicURL: publicURL)
        let mail = configuration.people.mail.map { mail in
            PipelinePeopleMail(pipeline: pipeline, vaults: vaults, vault: mail.vault, sender: mail.from.description)
        }
        let sessions = await SessionKeeper(
            database: database, instanceKey: instanceKey, configuration: people, clock: clock, ids: ids, logger: logger)
        let signIn = SignInDesk(sessions: sessions)
        let accounts = AccountKeeper(sessions: sessions, mail: mail)
        let directory = PeopleDirectory(
            database: database, vaults: vaults, sessions: sessions, accounts: accounts, desk: signIn, mail: mail,
            configuration: people, clock: clock, ids: ids, logger: logger)
        self.configuration = people
        services = HTTPAPI.PeopleServices(
            signIn: signIn, sessions: sessions, accounts: accounts, directory: directory,
            singleSignOn: try configuration.openID.map { openID in
                SingleSignOn(
                    configuration: SingleSignOnConfiguration(openID, configuration.people, publicURL: publicURL),
                    provider: try openID.provider(web, clock),
                    database: database, instanceKey: instanceKey, vaults: vaults, sessions: sessions, desk: signIn,
                    directory: directory, clock: clock, ids: ids, logger: logger)
            })
        background = [accounts, SessionSweep(sessions: sessions, logger: logger)]
    }
}

extension OpenIDConfiguration {
    /// - Throws: `StartError` where the file of the secret cannot be read.
    func provider(_ web: WebClient, _ clock: any WallClock) throws -> OpenIDProvider {
        OpenIDProvider(
            issuer: issuer, clientID: clientID, clientSecret: try secret(), web: web,
            now: { clock.now().milliseconds / 1000 })
    }

    private func secret() throws -> Secret<String>? {
        guard let path = clientSecretFile else { return clientSecret }
        guard let line = ConfigurationOptions.text(at: path)?.split(whereSeparator: \.isWhitespace).first else {
            throw StartError(description: "POSTERN_OIDC_CLIENT_SECRET_FILE: \(path) cannot be read, or is empty")
        }
        return Secret(String(line))
    }
}

extension SingleSignOnConfiguration {
    fileprivate init(_ openID: OpenIDConfiguration, _ people: InstanceConfiguration.People, publicURL: String) {
        self.init(
            name: openID.name, scopes: openID.scopes, groupsClaim: openID.groupsClaim,
            instanceRoles: openID.instanceRoles, vaultRoles: openID.vaultRoles, defaultRole: openID.defaultRole,
            publicURL: publicURL)
        addressAttempts = people.addressAttempts
    }
}

extension PeopleConfiguration {
    init(_ people: InstanceConfiguration.People, publicURL: String) {
        self.init(publicURL: publicURL)
        accessLifetime = people.accessTokenLifetime
        refreshLifetime = people.refreshTokenLifetime
        sessionIdle = people.sessionIdle
        sessionLifetime = people.sessionLifetime
        passwordSignIn = people.allowsPasswords
        requiresSecondFactor = people.requiresSecondFactor
        accountAttempts = people.accountAttempts
        addressAttempts = people.addressAttempts
    }
}
