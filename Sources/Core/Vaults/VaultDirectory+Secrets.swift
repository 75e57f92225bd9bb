// A vault's secrets: sealed by the vault's data key, which the master key wraps. What is read together was written together.

package import Model
package import Sealing
package import Store

extension VaultDirectory {
    /// Which secrets the vault has, by name.
    package func secretList(in vault: VaultID) async throws -> [SecretRepository.Name] {
        try await secrets.names(in: vault)
    }

    package func secretNames(in vault: VaultID) async throws -> Set<String> {
        Set(try await secrets.names(in: vault).map(\.name))
    }

    /// - Throws: `SealingError.wrongKey` when the master key is another one.
    package func secret(_ name: String, in vault: VaultID) async throws -> Secret<String>? {
        guard let found = try await secrets.find(name, in: vault) else { return nil }
        let bytes = try dataKey(found.wrappedKey, of: vault).open(found.bytes, context: Self.context(vault, name))
        return Secret(String(decoding: bytes, as: UTF8.self))
    }

    /// - Returns: the name, with the time that the list shows from now on.
    package func setSecret(
        _ name: String,
        to value: Secret<String>,
        in vault: VaultID,
        audit: @escaping AuditMaker
    ) async throws -> SecretRepository.Name {
        let set = try await secrets.set(name, in: vault, at: clock.now(), audit: audit) { [self] wrappedKey in
            try seal(value, name, in: vault, wrappedKey: wrappedKey)
        }
        invalidate(vault)
        return set
    }

    /// - Returns: false where there is no such secret.
    package func deleteSecret(_ name: String, in vault: VaultID, audit: @escaping AuditMaker) async throws -> Bool {
        let wasThere = try await secrets.delete(name, in: vault, at: clock.now(), audit: audit)
        invalidate(vault)
        return wasThere
    }

    /// Gives the vault a new data key and seals every secret with it, in one commit.
    /// - Returns: how many secrets there are.
    package func rotateDataKey(of vault: VaultID, audit: @escaping AuditMaker) async throws -> Int {
        let count = try await secrets.rotate(in: vault, audit: audit) { [self] wrappedKey, sealed in
            let old = try dataKey(wrappedKey, of: vault)
            let fresh = SealingKey.random()
            var anew: [String: [UInt8]] = [:]
            for (name, bytes) in sealed {
                let context = Self.context(vault, name)
                anew[name] = try fresh.seal(try old.open(bytes, context: context), context: context)
            }
            return (try fresh.wrapped(by: masterKey, context: vault.text), anew)
        }
        invalidate(vault)
        return count
    }

    /// Instance level: wraps every vault's data key with another master key, in one commit. Whoever works with the old one
    /// afterwards opens nothing.
    /// - Returns: how many vaults there are.
    /// - Throws: `SealingError.wrongKey` when the present master key is another one; nothing was changed then.
    package func changeMasterKey(to fresh: SealingKey, audit: @escaping AuditMaker) async throws -> Int {
        try await secrets.rewrapAll(audit: audit) { [masterKey] context, wrapped in
            try SealingKey(unwrapping: wrapped, by: masterKey, context: context).wrapped(by: fresh, context: context)
        }
    }

    /// Whether the master key opens what the database holds.
    /// - Throws: `SealingError.wrongKey` when it does not.
    package func verifyMasterKey() async throws {
        for vault in try await all() { _ = try dataKey(vault.wrappedDataKey, of: vault.id) }
    }

    /// For changes that seal inside their transaction, as they must: the data key may be replaced at any moment.
    func seal(
        _ value: Secret<String>,
        _ name: String,
        in vault: VaultID,
        wrappedKey: [UInt8]
    ) throws(SealingError) -> [UInt8] {
        try dataKey(wrappedKey, of: vault).seal(Array(value.reveal().utf8), context: Self.context(vault, name))
    }

    private func dataKey(_ wrappedKey: [UInt8], of vault: VaultID) throws(SealingError) -> SealingKey {
        try SealingKey(unwrapping: wrappedKey, by: masterKey, context: vault.text)
    }

    private static func context(_ vault: VaultID, _ name: String) -> String { "\(vault.text)/\(name)" }
}
