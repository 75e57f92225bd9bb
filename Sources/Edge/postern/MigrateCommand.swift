// Brings the database's schema up to date without starting a server.

import ArgumentParser
import Environment
import Logging
import SQL
import Store

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Bring the database's schema up to date.",
        discussion: """
            `serve` and `quickstart` do this by themselves; `migrate` does only this. With --dry-run it says what it would do.

            Example:  postern migrate --config /etc/postern/postern.env --dry-run
            """)

    @OptionGroup var options: ConfigurationOptions
    @Flag(help: "Name the steps that are due and change nothing.") var dryRun = false

    func run() async throws {
        let configuration = try options.load()
        let directory = try DataDirectory(
            path: configuration.dataDirectory, isShared: configuration.database.isShared)
        let database = try await Databases.open(
            configuration.database, rootCertificates: configuration.delivery.trustRootsFile, logger: Logger(label: "postern"))
        let migrator = Migrator(database: database)
        let steps = try await dryRun ? migrator.pending() : migrator.migrate()
        for step in steps { print("\(dryRun ? "due" : "done")  \(step.number)  \(step.name)") }
        if steps.isEmpty { print("The schema is up to date.") }
        await database.close()
        withExtendedLifetime(directory) {}
    }
}
