// What stands in MAIL FROM when a message names no envelope sender: where bounces of the vault's mail go.

package enum EnvelopeStrategy: String, SettingChoice {
    /// The address of the From field.
    case from
    /// The vault's `envelope_address`.
    case fixed
    /// The vault's `envelope_address` with the recipient in its local part, `bounces+jane=example.org@acme.com`, so that a
    /// bounce names who it is about.
    case verp

    /// Whether the setting `envelope_address` has to have a value.
    package var needsAddress: Bool { self != .from }
}
