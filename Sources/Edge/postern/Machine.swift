// What a command on the server's own machine works with: the database, the master key and ids. Nothing listens.

import Environment
import Glibc
import Logging
import Model
import People
import SQL
import Sealing
import Store
import Vaults

/// A file's folder is locked, so that no server runs beside; processes on PostgreSQL hear of changes by themselves.
struct Machine {
    let configuration: InstanceConfiguration
    let database: any SQLDatabase
    let vaults: VaultDirectory
    let accounts: AccountKeeper
    let clock: SystemClock
    let ids: IdentifierGenerator
    private let command: String

    /// Opens the database, does the work and closes it again.
    /// - Parameters:
    ///   - command: `postern setup`, for the audit log.
    ///   - makesInstance: whether a missing database and master key are made, and the schema is brought up to date.
    /// - Throws: `StartError`, also while a server has the database to itself; what the work throws.
    static func with(
        _ configuration: InstanceConfiguration,
        command: String,
        makesInstance: Bool,
        _ work: (Machine) async throws -> Void
    ) async throws {
        // What is made is for this user only.
        umask(0o077)
        let key = try MasterKey(configuration, makesOne: makesInstance)
        if !makesInstance, let path = configuration.database.missingFile {
            throw StartError(description: "there is no database at \(path); `postern setup` makes one")
        }
        if makesInstance, configuration.database.isShared {
            _ = try DataDirectory(path: configuration.dataDirectory, isShared: true)
        }
        var databases = HeldDatabases(configuration, logger: .ofCommands)
        // A server that has the file to itself has its folder locked, and the refusal says to stop it.
        let database = try await databases.open(configuration.database).database
        do {
            try await prepare(database, makesInstance)
            try await numbered(database) { ids, clock in
                try await work(Machine(configuration, database, key, ids, clock, command))
            }
        } catch {
            await database.close()
            throw error
        }
        await database.close()
        withExtendedLifetime(databases) {}
    }

    private static func prepare(_ database: any SQLDatabase, _ makesInstance: Bool) async throws {
        let migrator = Migrator(database: database)
        if makesInstance {
            try await migrator.migrate()
        } else if try await !migrator.pending().isEmpty {
            throw StartError(description: "the database's schema is of an older version; run `postern migrate` first")
        }
    }

    /// Ids need a number that no running process has.
    private static func numbered(
        _ database: any SQLDatabase,
        _ work: (IdentifierGenerator, SystemClock) async throws -> Void
    ) async throws {
        let (clock, owner) = (SystemClock(), RandomToken.text(16))
        let housekeeping = HousekeepingRepository(database: database)
        let now = clock.now()
        guard
            let number = try await housekeeping.claimProcessNumber(
                owner: owner, at: now, until: now.adding(seconds: 60))
        else { throw StartError(description: "all 1,024 process numbers are taken; stop a process and wait") }
        do {
            try await work(IdentifierGenerator(process: number, clock: clock), clock)
        } catch {
            try? await housekeeping.releaseProcessNumber(number, owner: owner)
            throw error
        }
        try await housekeeping.releaseProcessNumber(number, owner: owner)
    }

    private init(
        _ configuration: InstanceConfiguration,
        _ database: any SQLDatabase,
        _ key: MasterKey,
        _ ids: IdentifierGenerator,
        _ clock: SystemClock,
        _ command: String
    ) async throws {
        self.configuration = configuration
        self.database = database
        self.clock = clock
        self.ids = ids
        self.command = command
        vaults = key.directory(database, ids)
        try await key.check(vaults)
        let instanceKey = try await InstanceKey.open(database: database, masterKey: key.key, clock: clock)
        let people = PeopleConfiguration(configuration.people, publicURL: Instance.publicURL(configuration))
        let sessions = await SessionKeeper(
            database: database, instanceKey: instanceKey, configuration: people, clock: clock, ids: ids,
            logger: .ofCommands)
        accounts = AccountKeeper(sessions: sessions, mail: nil)
    }

    /// Entries of the audit log for what this command does.
    func audit(_ action: Action) -> AuditMaker { MachineAudit.entries(action, as: command, ids: ids, clock: clock) }
}

/// The audit log's entries for what the program itself does on its own machine.
enum MachineAudit {
    static func entries(
        _ action: Action,
        as command: String,
        ids: IdentifierGenerator,
        clock: any WallClock
    ) -> AuditMaker {
        { resource, before, after in
            AuditEntry(
                id: ids.next(), at: clock.now(), actor: Actor(id: "postern", label: command, door: "cli"),
                action: action.rawValue, resource: resource, before: before, after: after)
        }
    }
}
