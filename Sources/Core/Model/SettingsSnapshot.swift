// A vault's settings at one moment: each value with the place it came from.

package import JSON

package struct SettingsSnapshot: Sendable {
    package enum Source: String, Sendable {
        case vault, instance, unset
    }

    private let vault: [String: any SettingValue]
    private let instance: [String: any SettingValue]
    private let unreadable: [String: JSONValue]

    /// - Parameter unreadable: what stands in the vault where a value of a known key should, and is none. The instance's does
    ///   not hold there: what the vault meant may be stricter.
    package init(
        vault: [String: any SettingValue],
        instance: [String: any SettingValue],
        unreadable: [String: JSONValue] = [:]
    ) {
        self.vault = vault
        self.instance = instance
        self.unreadable = unreadable
    }

    package func value<Value>(_ setting: Setting<Value>) -> Value? { erased(setting.key) as? Value }

    /// - Throws: `setting_unset`, naming both places where a value could stand; or that the vault's cannot be read.
    package func require<Value>(_ setting: Setting<Value>) throws(PosternError) -> Value {
        if let value = value(setting) { return value }
        if unreadable[setting.key] != nil { throw Self.cannotRead(setting.key) }
        let environmentKey = Settings.declaration(setting.key)?.environmentKey ?? ""
        throw PosternError(
            .settingUnset,
            "the setting \(setting.key) has no value, neither for the vault nor for the instance",
            fix:
                "Set it for the vault (PATCH /v1/settings {\"\(setting.key)\": …}) or for the instance (\(environmentKey))."
        )
    }

    /// - Throws: `setting_unset` naming a key whose value in the vault cannot be read. Whoever asks for values that may be
    ///   missing asks this first: a limit that cannot be read is not a limit that is missing.
    package func checkReadable() throws(PosternError) {
        guard let key = unreadable.keys.min() else { return }
        throw Self.cannotRead(key)
    }

    package func source(_ key: String) -> Source {
        vault[key] != nil || unreadable[key] != nil ? .vault : instance[key] != nil ? .instance : .unset
    }

    /// The vault's own value.
    package func vaultValue(_ key: String) -> (any SettingValue)? { vault[key] }

    /// What stands in the vault for this key, and cannot be read.
    package func unreadableValue(_ key: String) -> JSONValue? { unreadable[key] }

    /// The instance's value, whether or not the vault has one of its own.
    package func instanceValue(_ key: String) -> (any SettingValue)? { instance[key] }

    package func erased(_ key: String) -> (any SettingValue)? {
        unreadable[key] == nil ? vault[key] ?? instance[key] : nil
    }

    private static func cannotRead(_ key: String) -> PosternError {
        PosternError(
            .settingUnset, "the vault has a value of the setting \(key) that this version of Postern cannot read",
            fix:
                "Set it again (PATCH /v1/settings {\"\(key)\": …}), or take it away with null, so that the instance's holds."
        )
    }
}
