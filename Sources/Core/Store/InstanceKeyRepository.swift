// The instance's own data key, wrapped by the master key as each vault's is.

package import Model
package import SQL

package struct InstanceKeyRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// What a wrapped key is bound to.
    package static func context(_ name: String) -> String { "instance/\(name)" }

    /// Instance level: the wrapped key of this name; made where there is none. Processes that start at once get the same one.
    package func key(
        _ name: String,
        at now: Timestamp,
        orElse make: @escaping @Sendable () throws -> [UInt8]
    ) async throws -> [UInt8] {
        if let wrapped = try await database.read({ try $0.instanceKeys()[name] }) { return wrapped }
        return try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO instance_keys (name, wrapped, created_at)
                VALUES (\(name), \(try make()), \(now.milliseconds)) ON CONFLICT (name) DO NOTHING
                """)
            guard let wrapped = try connection.instanceKeys()[name] else {
                throw SQLError(.failure, "the instance's key is not there after it was made")
            }
            return wrapped
        }
    }

    /// Instance level: the key of this name, if it was made.
    package func find(_ name: String) async throws -> [UInt8]? {
        try await database.read { try $0.instanceKeys()[name] }
    }
}

extension SQLConnection {
    /// All wrapped keys of the instance, by name.
    func instanceKeys() throws(SQLError) -> [String: [UInt8]] {
        var keys: [String: [UInt8]] = [:]
        for row in try rows("SELECT name, wrapped FROM instance_keys") { keys[try row.text(0)] = try row.blob(1) }
        return keys
    }
}
