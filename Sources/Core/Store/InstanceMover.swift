// Moves an instance from one database to another: every table in the order of dependence, and then compared.

package import Model
package import SQL

/// What was interrupted goes on: pieces are committed in the order of the primary key, so that what has arrived is always the
/// beginning of each table, and a mark in the target names the source, by its contents, until everything has been compared.
package struct InstanceMover: Sendable {
    /// One of the two databases.
    package struct Side: Sendable {
        package let database: any SQLDatabase
        /// The caller holds a lock that lets no process work on it.
        package let isHeld: Bool

        package init(_ database: any SQLDatabase, isHeld: Bool) {
            self.database = database
            self.isHeld = isHeld
        }
    }

    package struct Limits: Sendable {
        /// Rows of one piece. Default 2,000.
        package var rows = 2_000
        /// Bytes of one piece, about: a text counts as its characters; one larger row goes alone. Default 8 MiB.
        package var bytes = 8 << 20

        package init() {}
    }

    package struct Progress: Sendable {
        package enum Step: String, Sendable {
            case reading, copying, comparing
        }

        package let step: Step
        package let table: String
        /// Rows of the table so far.
        package let rows: Int
    }

    package struct TableReport: Sendable, Equatable {
        package let name: String
        package let rows: Int
        /// Of the values.
        package let bytes: Int
        /// SHA-256 of the contents.
        package let digest: String
        /// Rows that this run copied.
        package fileprivate(set) var copied = 0
    }

    package struct Report: Sendable {
        package fileprivate(set) var tables: [TableReport]
        /// Whether an interrupted move went on, or would.
        package let isContinued: Bool

        package var rows: Int { tables.reduce(0) { $0 + $1.rows } }
        package var bytes: Int { tables.reduce(0) { $0 + $1.bytes } }
    }

    /// Rows that are named where the target cannot store them.
    private static let named = 20

    private let source: Side
    private let target: Side?
    private let clock: any WallClock
    private let limits: Limits
    private let onProgress: @Sendable (Progress) -> Void

    /// - Parameter target: `nil` where it does not exist yet, which only `plan` may be asked about.
    package init(
        from source: Side,
        to target: Side?,
        clock: any WallClock,
        limits: Limits = .init(),
        onProgress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        self.source = source
        self.target = target
        self.clock = clock
        self.limits = limits
        self.onProgress = onProgress
    }

    /// Everything that `move` does before it changes something.
    /// - Throws: `InstanceMoveError` when the move would not begin, `SQLError`.
    package func plan() async throws -> Report { try await prepare().report }

    /// Copies what is not there yet, compares each table's rows and contents, and only then makes the target usable.
    /// - Throws: `InstanceMoveError`, `SQLError`. What has arrived stays, and the next call goes on.
    package func move() async throws -> Report {
        guard let target else { preconditionFailure("a move needs a target") }
        var (report, readers) = try await prepare()
        if !report.isContinued {
            try await Migrator(database: target.database).migrate()
            let fingerprint = Self.fingerprint(report.tables)
            try await target.database.write { try UnfinishedMove.begin(from: fingerprint, $0) }
        }
        try await compareSchemas(readers, target.database)
        for (index, reader) in readers.enumerated() {
            report.tables[index].copied = try await copy(reader, to: target.database)
        }
        for (reader, expected) in zip(readers, report.tables) {
            let found = try await survey(reader, target.database, .comparing).table
            guard found.rows == expected.rows, found.digest == expected.digest else {
                throw InstanceMoveError(
                    .contentsDiffer,
                    "the table \(reader.table.name) has \(expected.rows) rows in the source and \(found.rows) in the target"
                        + (found.rows == expected.rows ? ", of another content" : "")
                        + ". One of the two was changed meanwhile: begin again with an empty target")
            }
        }
        // A process that was started meanwhile has written to what had been read already.
        try await refuseLivingProcesses(source, "source")
        try await end(target.database)
        return report
    }
}

extension InstanceMover {
    private func prepare() async throws -> (report: Report, readers: [TableReader]) {
        let due = try await Migrator(database: source.database).pending()
        guard due.isEmpty else {
            let steps = due.count == 1 ? "a schema step" : "\(due.count) schema steps"
            throw InstanceMoveError(
                .sourceSchema, "the source has \(steps) due: run `postern migrate` on it first")
        }
        try await refuseLivingProcesses(source, "source")
        let begun = try await targetState()
        var tables: [TableReport] = []
        var unstorable: [String] = []
        let storesNUL = await targetStoresNUL()
        let readers = try await readers()
        for reader in readers {
            let survey = try await survey(reader, source.database, .reading)
            tables.append(survey.table)
            if !storesNUL { unstorable += survey.withNUL }
        }
        guard unstorable.isEmpty else {
            throw InstanceMoveError(
                .unstorable,
                "\(target?.database.name ?? "the target") stores no NUL character, and there is one in: "
                    + unstorable.prefix(Self.named).joined(separator: "; ")
                    + (unstorable.count > Self.named ? "; and in others" : ""))
        }
        guard begun == nil || begun == Self.fingerprint(tables) else {
            throw InstanceMoveError(
                .targetNotEmpty,
                "the target holds the beginning of another move, or of this one before the source was changed: "
                    + "begin again with an empty target")
        }
        return (Report(tables: tables, isContinued: begun != nil), readers)
    }

    private func readers() async throws -> [TableReader] {
        let columns = try await source.database.read { connection in
            try InstanceTables.moved.map { try connection.columns(of: $0.name) }
        }
        return try zip(InstanceTables.moved, columns).map { try TableReader($0, columns: $1, limits: limits) }
    }

    /// - Returns: the fingerprint of the source whose move into the target is not complete.
    /// - Throws: where there is anything else in the target.
    private func targetState() async throws -> String? {
        guard let target else { return nil }
        try await refuseLivingProcesses(target, "target")
        let begun = try await target.database.read { try UnfinishedMove.source($0) }
        if let begun { return begun }
        // Also refuses a target that a newer program has made.
        _ = try await Migrator(database: target.database).pending()
        let found: String? = try await target.database.read { connection in
            for table in InstanceTables.moved where try connection.hasTable(table.name) {
                let any = SQLStatement(stringLiteral: "SELECT 1 FROM \(table.name) LIMIT 1")
                if try connection.row(any) != nil { return table.name }
            }
            return nil
        }
        guard let found else { return nil }
        throw InstanceMoveError(
            .targetNotEmpty, "the target is not empty: there are rows in the table \(found). Name an empty database")
    }

    /// Asked with a text that has one, as it would be written: engines differ, and say so by themselves.
    private func targetStoresNUL() async -> Bool {
        guard let target else { return true }
        do {
            return try await target.database.write { try $0.row("SELECT 1 WHERE \("\0") = \("\0")") != nil }
        } catch {
            return false
        }
    }

    private func refuseLivingProcesses(_ side: Side, _ name: String) async throws {
        guard !side.isHeld else { return }
        let now = clock.now()
        let (count, until) = try await side.database.read { connection -> (Int64, Int64) in
            guard try connection.hasTable("processes") else { return (0, 0) }
            let row = try connection.row(
                "SELECT COUNT(*), COALESCE(MAX(lease_until), 0) FROM processes WHERE lease_until > \(now.milliseconds)")
            return (try row?.integer(0) ?? 0, try row?.integer(1) ?? 0)
        }
        guard count > 0 else { return }
        throw InstanceMoveError(
            .inUse,
            "\(count == 1 ? "a process works" : "\(count) processes work") on the \(name): stop what runs there. "
                + "One that was killed counts as alive until \(Timestamp(milliseconds: until))")
    }

    private func end(_ target: any SQLDatabase) async throws {
        do {
            try await target.write { try UnfinishedMove.end($0) }
        } catch {
            // A connection that is lost at the commit leaves open what became of it; the mark says.
            guard let isMarked = try? await target.read({ try UnfinishedMove.source($0) != nil }), !isMarked else {
                throw error
            }
        }
    }

    private func compareSchemas(_ readers: [TableReader], _ target: any SQLDatabase) async throws {
        let found = try await target.read { connection in
            try readers.map { try connection.columns(of: $0.table.name) }
        }
        for (reader, columns) in zip(readers, found) where Set(reader.columns) != Set(columns) {
            let differing = Set(reader.columns).symmetricDifference(columns).map(\.name)
            throw InstanceMoveError(
                .schemasDiffer,
                "the table \(reader.table.name) is not the same in both databases; see its columns "
                    + Set(differing).sorted().joined(separator: ", "))
        }
    }

    /// Reads a table whole.
    private func survey(
        _ reader: TableReader,
        _ database: any SQLDatabase,
        _ step: Progress.Step
    ) async throws -> (table: TableReport, withNUL: [String]) {
        var digest = ContentDigest()
        var (rows, bytes) = (0, 0)
        var withNUL: [String] = []
        try await pieces(reader, database, after: nil) { piece in
            for row in piece.rows {
                digest.add(row)
                guard withNUL.count <= Self.named else { continue }
                withNUL += reader.columnsWithNUL(row).map { "\(reader.name(of: row)), column \($0)" }
            }
            rows += piece.rows.count
            bytes += piece.bytes
            onProgress(Progress(step: step, table: reader.table.name, rows: rows))
        }
        return (TableReport(name: reader.table.name, rows: rows, bytes: bytes, digest: digest.finish()), withNUL)
    }

    /// - Returns: rows that were not there yet.
    private func copy(_ reader: TableReader, to target: any SQLDatabase) async throws -> Int {
        let (last, present) = try await target.read { connection in
            let last = try reader.lastKey(connection)
            return (last, last == nil ? 0 : try reader.count(connection))
        }
        var copied = 0
        try await pieces(reader, source.database, after: last) { piece in
            try await target.write(cost: piece.bytes) { try reader.insert(piece.rows, $0) }
            copied += piece.rows.count
            onProgress(Progress(step: .copying, table: reader.table.name, rows: present + copied))
        }
        return copied
    }

    private func pieces(
        _ reader: TableReader,
        _ database: any SQLDatabase,
        after key: [SQLValue]?,
        _ body: (TableReader.Piece) async throws -> Void
    ) async throws {
        var last = key
        while true {
            let piece = try await database.read { [last] in try reader.piece(after: last, $0) }
            if !piece.rows.isEmpty { try await body(piece) }
            guard !piece.isLast, let row = piece.rows.last else { return }
            last = reader.key(of: row)
        }
    }

    /// The same for the same contents and the same schema.
    private static func fingerprint(_ tables: [TableReport]) -> String {
        let lines = tables.map { "\($0.name) \($0.rows) \($0.digest)" }
        return ContentDigest.of((["schema \(Migrations.all.count)"] + lines).joined(separator: "\n"))
    }
}
