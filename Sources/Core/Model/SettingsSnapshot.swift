// A vault's settings at one moment: each value with the place it came from.

package struct SettingsSnapshot: Sendable {
    package enum Source: String, Sendable {
        case vault, instance, unset
    }

    private let vault: [String: any SettingValue]
    private let instance: [String: any SettingValue]

    package init(vault: [String: any SettingValue], instance: [String: any SettingValue]) {
        self.vault = vault
        self.instance = instance
    }

    package func value<Value>(_ setting: Setting<Value>) -> Value? {
        (vault[setting.key] ?? instance[setting.key]) as? Value
    }

    /// - Throws: `setting_unset`, naming both places where a value could stand.
    package func require<Value>(_ setting: Setting<Value>) throws(PosternError) -> Value {
        if let value = value(setting) { return value }
        let environmentKey = Settings.declaration(setting.key)?.environmentKey ?? ""
        throw PosternError(
            .settingUnset,
            "the setting \(setting.key) has no value, neither for the vault nor for the instance",
            fix:
                "Set it for the vault (PATCH /v1/settings {\"\(setting.key)\": …}) or for the instance (\(environmentKey))."
        )
    }

    package func source(_ key: String) -> Source {
        vault[key] != nil ? .vault : instance[key] != nil ? .instance : .unset
    }

    /// The vault's own value.
    package func vaultValue(_ key: String) -> (any SettingValue)? { vault[key] }

    /// The instance's value, whether or not the vault has one of its own.
    package func instanceValue(_ key: String) -> (any SettingValue)? { instance[key] }

    package func erased(_ key: String) -> (any SettingValue)? { vault[key] ?? instance[key] }
}
