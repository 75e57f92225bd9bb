// `postern secrets rotate-master`: wraps every vault's data key with another master key, while nothing runs.

import ArgumentParser
import Commands
import Environment
import Glibc
import Logging
import Model
import SQL
import Sealing
import Store
import Vaults

/// `postern secrets`, with the one subcommand that needs the database itself instead of a server.
struct SecretsWithMasterCommand: AsyncParsableCommand {
    static let configuration: CommandConfiguration = {
        var configuration = SecretsCommand.configuration
        configuration.subcommands.append(RotateMasterCommand.self)
        return configuration
    }()
}

struct RotateMasterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-master",
        abstract: "Wrap the data keys of all vaults with another master key.",
        discussion: """
            Runs on the server's own machine, with the server's configuration and without a running server: whoever works \
            with the old master key afterwards opens nothing. The data keys and secrets stay as they are; all vaults change \
            in one transaction, or none.

            Example:  (umask 077; openssl rand -base64 32 > /etc/postern/master-2.key)
                      postern secrets rotate-master --config /etc/postern/postern.env \\
                          --new-key-file /etc/postern/master-2.key
            """)

    @OptionGroup var options: ConfigurationOptions
    @Option(help: ArgumentHelp("The new key: 32 bytes in base64, in a file.", valueName: "path"))
    var newKeyFile: String

    func run() async throws {
        let configuration = try options.load()
        umask(0o077)
        let (old, new) = (try MasterKey(configuration), try MasterKey(file: newKeyFile))
        if let path = configuration.database.missingFile {
            throw StartError(description: "there is no database at \(path)")
        }
        var databases = HeldDatabases(configuration, logger: .ofCommands)
        let side = try await databases.open(configuration.database)
        do {
            let change = MasterKeyChange(side, from: old, to: new)
            print(try await change.run().sentence(newKeyFile))
        } catch {
            await side.database.close()
            throw error
        }
        await side.database.close()
        withExtendedLifetime(databases) {}
    }
}

/// The change itself, on a database that is open.
private struct MasterKeyChange {
    enum Outcome {
        case changed(vaults: Int)
        /// An earlier run did it, and was cut off before it could say so.
        case wasChanged

        func sentence(_ path: String) -> String {
            let next = """
                Next: set POSTERN_MASTER_KEY_FILE to \(path) (and unset POSTERN_MASTER_KEY), for every process of this \
                instance, and start. Backups from before need the old key: keep it with them.
                """
            switch self {
            case .changed(let count):
                return "The data keys of \(count) vault\(count == 1 ? "" : "s") were wrapped anew.\n\(next)"
            case .wasChanged: return "The database has this master key already; nothing was changed.\n\(next)"
            }
        }
    }

    private let side: InstanceMover.Side
    private let (old, new): (MasterKey, MasterKey)
    private let owner = RandomToken.text(16)
    private let clock = SystemClock()

    init(_ side: InstanceMover.Side, from old: MasterKey, to new: MasterKey) {
        self.side = side
        (self.old, self.new) = (old, new)
    }

    /// - Throws: `StartError` while processes work on the database, or when the present master key is another one.
    func run() async throws -> Outcome {
        guard try await Migrator(database: side.database).pending().isEmpty else {
            throw StartError(description: "the database's schema is of an older version; run `postern migrate` first")
        }
        try await refuseProcesses()
        let housekeeping = HousekeepingRepository(database: side.database)
        let now = clock.now()
        guard
            let number = try await housekeeping.claimProcessNumber(
                owner: owner, at: now, until: now.adding(seconds: 60))
        else { throw StartError(description: "all 1,024 process numbers are taken; stop a process and wait") }
        do {
            let outcome = try await change(IdentifierGenerator(process: number, clock: clock))
            try await housekeeping.releaseProcessNumber(number, owner: owner)
            return outcome
        } catch {
            try? await housekeeping.releaseProcessNumber(number, owner: owner)
            throw error
        }
    }

    private func change(_ ids: IdentifierGenerator) async throws -> Outcome {
        let vaults = old.directory(side.database, ids)
        do {
            try await old.check(vaults)
        } catch {
            if (try? await new.check(new.directory(side.database, ids))) != nil { return .wasChanged }
            throw error
        }
        let count = try await vaults.changeMasterKey(to: new.key) { [clock] resource, before, after in
            AuditEntry(
                id: ids.next(), at: clock.now(), actor: Actor(id: "operator", label: "postern secrets", door: "cli"),
                action: "secret.write", resource: resource, before: before, after: after)
        }
        // A process that started between our look and the commit has checked the old key, and must check again.
        do { try await refuseProcesses() } catch {
            throw StartError(
                description: "the data keys were wrapped anew, but a process was started meanwhile with the old master "
                    + "key: stop it now, and start it with POSTERN_MASTER_KEY_FILE set to the new one")
        }
        return .changed(vaults: count)
    }

    private func refuseProcesses() async throws {
        // The lock that we hold says more than leases, which a process that was killed leaves behind.
        guard !side.isHeld else { return }
        let count = try await SecretRepository(database: side.database).liveProcesses(besides: owner, at: clock.now())
        guard count == 0 else {
            throw StartError(
                description: "\(count) process\(count == 1 ? " works" : "es work") on this database; stop all of them "
                    + "(one that was killed counts until its lease ends, see POSTERN_PROCESS_LEASE)")
        }
    }
}
