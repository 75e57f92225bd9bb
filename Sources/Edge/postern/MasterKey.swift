// The master key at the start: read from where the configuration says, and held against what it sealed.

import Environment
import FoundationEssentials
import Logging
import Model
import SQL
import Sealing
import Vaults

struct MasterKey: Sendable {
    let key: SealingKey
    /// The variable or file that it came from, or that it will be kept in.
    private let place: String
    /// Whether it was made just now, and is kept nowhere yet.
    private let isNew: Bool

    /// The master key from the configuration or its file.
    /// - Parameter makesOne: whether a missing key is made. It is kept by `check`, once it is known that no other is missing.
    /// - Throws: `StartError`, naming the place.
    init(_ configuration: InstanceConfiguration, makesOne: Bool = false) throws {
        if let text = configuration.masterKey {
            try self.init(text.reveal(), from: "POSTERN_MASTER_KEY")
            return
        }
        let path = configuration.masterKeyFile
        guard !FileManager.default.fileExists(atPath: path) else {
            try self.init(file: path)
            return
        }
        guard makesOne else {
            throw StartError(
                description:
                    "there is no master key: set POSTERN_MASTER_KEY, or restore \(path), or for a new instance make "
                    + "it with: openssl rand -base64 32 > \(path); chmod 600 \(path)")
        }
        self.init(key: .random(), place: path, isNew: true)
    }

    init(file path: String) throws {
        guard let text = ConfigurationOptions.text(at: path) else {
            throw StartError(description: "the master key file \(path) cannot be read")
        }
        try self.init(text, from: path)
    }

    private init(key: SealingKey, place: String, isNew: Bool) {
        self.key = key
        self.place = place
        self.isNew = isNew
    }

    private init(_ text: String, from place: String) throws {
        let key: SealingKey
        do {
            key = try SealingKey(base64: text)
        } catch {
            throw StartError(description: "\(place) holds no master key: \(error)")
        }
        self.init(key: key, place: place, isNew: false)
    }

    /// Compares the key with what the database holds; a new one is kept, before the first vault is made.
    /// - Throws: `StartError` when vaults were sealed with another one: nothing of theirs could be opened.
    func check(_ vaults: VaultDirectory) async throws {
        do {
            try await vaults.verifyMasterKey()
        } catch is SealingError {
            throw StartError(
                description: isNew
                    ? "there is no master key at \(place), and the database has vaults that were sealed with one: restore it "
                        + "there, or set POSTERN_MASTER_KEY_FILE to where it is"
                    : "the master key in \(place) is not the one that this database was sealed with: give the right one back, "
                        + "by POSTERN_MASTER_KEY_FILE or POSTERN_MASTER_KEY, for nothing else opens the vaults' secrets"
            )
        }
        if isNew { try DataDirectory.writePrivately(key.base64.reveal() + "\n", to: place) }
    }

    /// Opens what this key sealed, for commands that only look or work without an instance.
    func directory(
        _ database: any SQLDatabase,
        _ ids: IdentifierGenerator = IdentifierGenerator(process: 0, clock: SystemClock())
    ) -> VaultDirectory {
        VaultDirectory(database: database, masterKey: key, instanceDefaults: [:], clock: SystemClock(), ids: ids)
    }

    /// For `postern check`: the key, and whether it is the database's, where there is one.
    static func look(_ configuration: InstanceConfiguration) async throws -> String {
        let master = try MasterKey(configuration)
        guard configuration.database.missingFile == nil else { return "can be read" }
        let database: any SQLDatabase
        do {
            database = try await Databases.open(
                configuration.database, rootCertificates: configuration.delivery.trustRootsFile, patience: 8,
                logger: Logger(label: "postern") { _ in SwiftLogNoOpLogHandler() })
        } catch {
            return "can be read; whether it is the database's cannot be seen"
        }
        do {
            let hasVaults = try await database.read { try $0.hasTable("vaults") }
            if hasVaults { try await master.check(master.directory(database)) }
            await database.close()
            return hasVaults ? "opens the vaults of the database" : "can be read"
        } catch {
            await database.close()
            throw error
        }
    }
}
