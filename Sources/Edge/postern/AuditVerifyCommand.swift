// `postern audit verify`: whether the audit log is as it was written, asked of the database itself, or of an export.

import ArgumentParser
import Audit
import Commands
import Environment
import FoundationEssentials
import Glibc
import JSON
import Logging
import Model
import SQL
import Sealing
import Store
import Vaults

/// `postern audit`, with the one subcommand that asks no server.
struct AuditWithVerifyCommand: AsyncParsableCommand {
    static let configuration: CommandConfiguration = {
        var configuration = AuditCommand.configuration
        configuration.subcommands.append(AuditVerifyCommand.self)
        return configuration
    }()
}

struct AuditVerifyCommand: AsyncParsableCommand, LocalCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check that the audit log is as it was written, or that an export is.",
        discussion: """
            Runs on the server's own machine, as the server's user, with its configuration, and reads the database itself: \
            the server may run meanwhile, and need not. It looks at every chain, at the seals, which nobody can make without \
            the master key, and at the anchors given. With --file it checks an export anywhere, and needs no configuration.

            Ends with 1 where something is wrong. An old seal put back together with the old end of every chain cannot be \
            seen from inside: keep the anchors that it prints, and hold the chains against them with --anchor.

            Example:  postern audit verify
                      postern audit verify --config /etc/postern/postern.env \\
                          --anchor SEQUENCE:DIGEST
                      postern audit verify --file audit.jsonl
            """)

    @OptionGroup var options: ConfigurationOptions
    @Option(help: ArgumentHelp("An export in JSON Lines, instead of the database.", valueName: "path")) var file:
        String?
    @Flag(help: "The export was made with filters: gaps are no finding.") var filtered = false
    @Option(
        help: ArgumentHelp(
            """
            A place that has to be there, as it was noted earlier: in the instance's chain, or as chain=sequence:digest in \
            another one. Several may be given.
            """, valueName: "sequence:digest"))
    var anchor: [String] = []
    @Flag(help: "Print the result as JSON.") var json = false

    func validate() throws {
        for text in anchor where AuditAnchor(text) == nil {
            throw ValidationError("--anchor \(text) is no anchor; one is SEQUENCE:DIGEST, with 64 hexadecimal digits.")
        }
        if filtered, file == nil { throw ValidationError("--filtered is for --file.") }
        if file != nil, options.config != nil { throw ValidationError("--file needs no --config.") }
    }

    func run() async throws {
        let anchors = anchor.compactMap { AuditAnchor($0) }
        let reports = if let file { try Self.verify(file: file, filtered, anchors) } else { try await verify(anchors) }
        let verdict = AuditVerdict(reports, at: SystemClock().now())
        if json {
            var writer = JSONWriter()
            verdict.write(to: &writer)
            print(writer.text)
        } else {
            for line in verdict.lines { print(line) }
        }
        if !verdict.isIntact { throw ExitCode(1) }
    }

    private func verify(_ anchors: [AuditAnchor]) async throws -> [AuditReport] {
        let configuration = try options.load()
        umask(0o077)
        let master = try MasterKey(configuration)
        if let path = configuration.database.missingFile {
            throw StartError(description: "there is no database at \(path)")
        }
        let database = try await Databases.open(
            configuration.database, rootCertificates: configuration.delivery.trustRootsFile, logger: .ofCommands)
        do {
            guard try await Migrator(database: database).pending().isEmpty else {
                throw StartError(
                    description: "the database's schema is of an older version; run `postern migrate` first")
            }
            let key = try await Self.sealKey(master, database)
            let reports = try await AuditVerifier(database: database, key: key, clock: SystemClock()).all(
                anchors: anchors)
            await database.close()
            return reports
        } catch {
            await database.close()
            throw error
        }
    }

    /// - Returns: `nil` where no server has ever run on this database; where there are seals all the same, that is found.
    /// - Throws: `StartError` where the master key is another one.
    private static func sealKey(_ master: MasterKey, _ database: any SQLDatabase) async throws -> AuditSealKey? {
        guard try await InstanceKeyRepository(database: database).find("data") != nil else { return nil }
        do {
            let key = try await InstanceKey.open(database: database, masterKey: master.key, clock: SystemClock())
            return AuditSealKey(key.derived(AuditSealKey.purpose))
        } catch is SealingError {
            throw StartError(description: "the master key is not the one that this database was sealed with")
        }
    }

    private static func verify(file path: String, _ isFiltered: Bool, _ anchors: [AuditAnchor]) throws -> [AuditReport]
    {
        guard let stream = fopen(path, "re") else {
            throw StartError(description: "\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { fclose(stream) }
        var verifier = AuditExportVerifier(isFiltered: isFiltered, anchors: anchors)
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while true {
            let count = getline(&line, &capacity, stream)
            guard count > 0, let start = line else { break }
            let bytes = UnsafeRawBufferPointer(start: start, count: count)
            verifier.take(line: bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...])
        }
        guard ferror(stream) == 0 else { throw StartError(description: "\(path) could not be read to its end") }
        return verifier.finish()
    }
}
