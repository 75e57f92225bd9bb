// Brings a database's schema up to date without starting a server, and moves an instance from one database to another.

import ArgumentParser
import Environment
import Glibc
import Logging
import SQL
import Store

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Bring the database's schema up to date, or move an instance to another database.",
        discussion: """
            `serve` and `quickstart` bring the schema up to date by themselves; `migrate` does only this. With --dry-run it \
            says what it would do.

            With --from or --to it moves an instance: everything that is in one database goes into another, empty one, and \
            is compared there. The one that is not named is the configuration's, which keeps a password out of the list of \
            processes. No server may run meanwhile. What was interrupted goes on when it is run again. The master key stays \
            the same: docs/postgresql.md.

            Example:  postern migrate --config /etc/postern/postern.env --dry-run
                      POSTERN_DATABASE_URL=postgres://postern@db/postern postern migrate \\
                          --from sqlite:/var/lib/postern/postern.db
            """)

    @OptionGroup var options: ConfigurationOptions
    @Option(help: ArgumentHelp("The database that an instance is moved from.", valueName: "URL"))
    var from: String?
    @Option(help: ArgumentHelp("The database that it is moved to: sqlite:PATH or postgres://…", valueName: "URL"))
    var to: String?
    @Flag(help: "Say what would be done, and change nothing.") var dryRun = false
    @Flag(help: "Print what was moved as JSON.") var json = false

    func validate() throws {
        for (name, url) in [("--from", from), ("--to", to)] {
            guard let url, InstanceConfiguration.Database(url: url) == nil else { continue }
            throw ValidationError("\(name) must have the form sqlite:PATH or postgres://…")
        }
        guard !json || from != nil || to != nil else { throw ValidationError("--json goes with --from or --to.") }
    }

    func run() async throws {
        let configuration = try options.load()
        // What is made is for this user only, wherever it is.
        umask(0o077)
        guard from != nil || to != nil else { return try await migrate(configuration) }
        let source = from.flatMap(InstanceConfiguration.Database.init) ?? configuration.database
        let target = to.flatMap(InstanceConfiguration.Database.init) ?? configuration.database
        try await InstanceMove(configuration, from: source, to: target, isDry: dryRun, printsJSON: json).run()
    }

    private func migrate(_ configuration: InstanceConfiguration) async throws {
        if dryRun, configuration.database.missingFile != nil { return report(Migrations.all) }
        let directory = try DataDirectory(
            path: configuration.dataDirectory, isShared: configuration.database.isShared)
        let database = try await Databases.open(
            configuration.database, rootCertificates: configuration.delivery.trustRootsFile, logger: .ofCommands)
        do {
            let migrator = Migrator(database: database)
            report(try await dryRun ? migrator.pending() : migrator.migrate())
        } catch {
            await database.close()
            throw error
        }
        await database.close()
        withExtendedLifetime(directory) {}
    }

    private func report(_ steps: [Migration]) {
        for step in steps { print("\(dryRun ? "due" : "done")  \(step.number)  \(step.name)") }
        if steps.isEmpty { print("The schema is up to date.") }
    }
}

extension Logger {
    /// For commands that end by themselves: what goes wrong, to standard error.
    static var ofCommands: Logger {
        var logger = Logger(label: "postern") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        return logger
    }
}
