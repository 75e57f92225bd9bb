// Databases that a command opens for itself alone: a file's folder is locked as a server would lock it.

import Environment
import FoundationEssentials
import Glibc
import Logging
import SQL
import Sealing
import Store

/// Locks stay until this is let go.
struct HeldDatabases {
    private let configuration: InstanceConfiguration
    private let logger: Logger
    /// By real path, for one process cannot lock a folder twice; with whether it had been locked before.
    private var folders: [String: (directory: DataDirectory, wasKnown: Bool)] = [:]

    init(_ configuration: InstanceConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// - Throws: `StartError` where another process has the folder, `SQLError`.
    mutating func open(_ database: InstanceConfiguration.Database) async throws -> InstanceMover.Side {
        var isHeld = false
        if case .sqlite(let path) = database {
            for folder in Self.folders(of: path, configuration) {
                if try hold(folder) { isHeld = true }
            }
        }
        let opened = try await Databases.open(
            database, rootCertificates: configuration.delivery.trustRootsFile, logger: logger)
        return InstanceMover.Side(opened, isHeld: isHeld)
    }

    /// - Returns: whether servers lock this folder. One that was never locked was never a data directory: then our lock says
    ///   nothing of who works in it.
    private mutating func hold(_ folder: String) throws -> Bool {
        if let held = folders[Self.realPath(folder) ?? folder] { return held.wasKnown }
        let wasKnown = FileManager.default.fileExists(atPath: "\(folder)/postern.lock")
        let directory = try DataDirectory(path: folder, isShared: false)
        folders[Self.realPath(folder) ?? folder] = (directory, wasKnown)
        return wasKnown
    }

    /// Where a server that uses this file has its lock: the file's own folder, or the configured one.
    private static func folders(of path: String, _ configuration: InstanceConfiguration) -> [String] {
        let slash = path.lastIndex(of: "/")
        let own = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        guard case .sqlite(let configured) = configuration.database, isSame(configured, path) else { return [own] }
        return [own, configuration.dataDirectory]
    }

    static func isSame(_ first: InstanceConfiguration.Database, _ second: InstanceConfiguration.Database) -> Bool {
        switch (first, second) {
        case (.sqlite(let first), .sqlite(let second)): isSame(first, second)
        case (.postgreSQL(let first), .postgreSQL(let second)): first.reveal() == second.reveal()
        case (.sqlite, .postgreSQL), (.postgreSQL, .sqlite): false
        }
    }

    private static func isSame(_ first: String, _ second: String) -> Bool {
        first == second || (realPath(first).map { $0 == realPath(second) } ?? false)
    }

    private static func realPath(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}
