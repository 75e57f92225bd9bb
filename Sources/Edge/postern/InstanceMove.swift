// `postern migrate --from … --to …`: opens both databases for itself, moves or only looks, and says what it did.

import Environment
import Glibc
import JSON
import Logging
import Model
import SQL
import Store
import Synchronization

struct InstanceMove {
    private let configuration: InstanceConfiguration
    private let from: InstanceConfiguration.Database
    private let to: InstanceConfiguration.Database
    private let isDry: Bool
    private let printsJSON: Bool

    init(
        _ configuration: InstanceConfiguration,
        from: InstanceConfiguration.Database,
        to: InstanceConfiguration.Database,
        isDry: Bool,
        printsJSON: Bool
    ) {
        self.configuration = configuration
        self.from = from
        self.to = to
        self.isDry = isDry
        self.printsJSON = printsJSON
    }

    /// - Throws: `StartError`, `InstanceMoveError`, `SQLError`.
    func run() async throws {
        guard !HeldDatabases.isSame(from, to) else {
            throw StartError(
                description: "--from and --to are the same database; the one not named is the configuration's")
        }
        if let path = from.missingFile { throw StartError(description: "there is no database at \(path)") }
        var databases = HeldDatabases(configuration, logger: .ofCommands)
        let source = try await databases.open(from)
        var target: InstanceMover.Side?
        do {
            // Opening a file would make it.
            if !isDry || to.missingFile == nil { target = try await databases.open(to) }
            let progress = ProgressLines()
            let mover = InstanceMover(from: source, to: target, clock: SystemClock(), onProgress: progress.show)
            let report = try await isDry ? mover.plan() : mover.move()
            show(report, from: source.database.name, to: target?.database.name ?? to.name)
        } catch {
            await source.database.close()
            await target?.database.close()
            throw error
        }
        await source.database.close()
        await target?.database.close()
        withExtendedLifetime(databases) {}
    }

    private func show(_ report: InstanceMover.Report, from: String, to: String) {
        if printsJSON { return print(json(report, from: from, to: to)) }
        let lines =
            [("table", "rows", "bytes")] + report.tables.map { ($0.name, "\($0.rows)", "\($0.bytes)") }
            + [("all", "\(report.rows)", "\(report.bytes)")]
        func width(_ texts: [String]) -> Int { texts.map(\.count).max() ?? 0 }
        let widths = (width(lines.map(\.0)), width(lines.map(\.1)), width(lines.map(\.2)))
        func space(_ text: String, _ width: Int) -> String { String(repeating: " ", count: width - text.count) }
        for line in lines {
            print(
                line.0 + space(line.0, widths.0), space(line.1, widths.1) + line.1, space(line.2, widths.2) + line.2,
                separator: "  ")
        }
        switch (isDry, report.isContinued) {
        case (true, false):
            print("Nothing was changed. The target is there and empty, or will be made, and can take this.")
        case (true, true): print("Nothing was changed. The target has the beginning of this move, which would go on.")
        case (false, _):
            print(
                """
                Moved from \(from) to \(to) and compared: each table has the same rows with the same contents.
                Next: set POSTERN_DATABASE_URL to the new database, keep the master key, and start. Keep the old database \
                until you have seen that all is well, and start nothing on it.
                """)
        }
    }

    private func json(_ report: InstanceMover.Report, from: String, to: String) -> String {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("from", from)
            writer.member("to", to)
            writer.member("dry_run", .bool(isDry))
            writer.member("continued", .bool(report.isContinued))
            writer.member("rows", .integer(Int64(report.rows)))
            writer.member("bytes", .integer(Int64(report.bytes)))
            writer.name("tables")
            writer.array { writer in
                for table in report.tables {
                    writer.object { writer in
                        writer.member("table", table.name)
                        writer.member("rows", .integer(Int64(table.rows)))
                        writer.member("bytes", .integer(Int64(table.bytes)))
                        writer.member("copied", .integer(Int64(table.copied)))
                        writer.member("sha256", table.digest)
                    }
                }
            }
        }
        return writer.text
    }
}

extension InstanceConfiguration.Database {
    /// The engine's name as people know it.
    fileprivate var name: String {
        switch self {
        case .sqlite: "SQLite"
        case .postgreSQL: "PostgreSQL"
        }
    }
}

/// What goes on, to standard error: a line where a step begins, and one a second.
private final class ProgressLines: Sendable {
    private let last = Mutex<(step: InstanceMover.Progress.Step, at: ContinuousClock.Instant)?>(nil)

    func show(_ progress: InstanceMover.Progress) {
        let isDue = last.withLock { last in
            if let last, last.step == progress.step, last.at.duration(to: .now) < .seconds(1) { return false }
            last = (progress.step, .now)
            return true
        }
        guard isDue else { return }
        let line = Array("\(progress.step.rawValue)  \(progress.table)  \(progress.rows) rows\n".utf8)
        _ = write(2, line, line.count)
    }
}
