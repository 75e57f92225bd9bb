// The engines, chosen by the configuration: the one place that knows which there are.

import Environment
import FoundationEssentials
import Logging
import PostgreSQL
import SQL
import SQLite
import Sealing

enum Databases {
    /// - Parameter patience: seconds in which a server has to be reached; it may be starting as well.
    /// - Throws: `SQLError`, also when it is not.
    static func open(
        _ database: InstanceConfiguration.Database,
        rootCertificates: String?,
        patience: Double = 30,
        logger: Logger
    ) async throws -> any SQLDatabase {
        switch database {
        case .sqlite(let path): return try SQLiteDatabase(path: path)
        case .postgreSQL(let url):
            var limits = PostgreSQLConfiguration.Limits()
            limits.openTimeout = patience
            limits.connectTimeout = min(limits.connectTimeout, patience)
            let configuration = try PostgreSQLConfiguration(
                url: url.reveal(), rootCertificates: rootCertificates, limits: limits)
            return try await PostgreSQLDatabase.open(configuration, logger: logger)
        }
    }
}

extension InstanceConfiguration.Database {
    /// Whether several processes may use it, and nothing in the data directory belongs to one alone.
    var isShared: Bool {
        if case .postgreSQL = self { true } else { false }
    }

    /// The file that a start would make, where it is missing.
    var missingFile: String? {
        guard case .sqlite(let path) = self, !FileManager.default.fileExists(atPath: path) else { return nil }
        return path
    }
}

extension Databases {
    /// What a database server says of itself and of our role.
    struct Server {
        let version: String
        let synchronousCommit: String
        let mayMakeTables: Bool

        var description: String { "PostgreSQL \(version), synchronous_commit \(synchronousCommit)" }
    }

    /// - Returns: `nil` for an engine without a server.
    static func server(_ database: any SQLDatabase) async throws -> Server? {
        guard database is PostgreSQLDatabase else { return nil }
        return try await database.read { connection in
            try connection.row(
                """
                SELECT current_setting('server_version'), current_setting('synchronous_commit'),
                    COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)
                """
            ).map { row in
                Server(version: try row.text(0), synchronousCommit: try row.text(1), mayMakeTables: try row.bool(2))
            }
        }
    }
}
