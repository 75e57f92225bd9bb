// The engines, chosen by the configuration: the one place that knows which there are.

import Environment
import FoundationEssentials
import Logging
import PostgreSQL
import SQL
import SQLite
import Sealing

enum Databases {
    /// - Throws: `SQLError`, also when a server cannot be reached within 30 seconds.
    static func open(
        _ database: InstanceConfiguration.Database,
        rootCertificates: String?,
        logger: Logger
    ) async throws -> any SQLDatabase {
        switch database {
        case .sqlite(let path): return try SQLiteDatabase(path: path)
        case .postgreSQL(let url):
            let configuration = try PostgreSQLConfiguration(url: url.reveal(), rootCertificates: rootCertificates)
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
