// What the server says about settings: each with its value and where that comes from.

import JSON

struct SettingsAnswer {
    let values: JSONObject

    init(_ answer: JSONObject) throws(CommandFailure) {
        guard let values = answer["settings"]?.objectValue else { throw .notPostern }
        self.values = values
    }

    /// A table of all settings, or of some.
    func lines(only keys: [String]? = nil) -> [String] {
        let rows = values.members.filter { keys?.contains($0.name) ?? true }.map { member in
            JSONObject([
                "key": .string(member.name), "value": .string(Self.plain(member.value.objectValue?["value"])),
                "source": member.value.objectValue?["source"] ?? .null,
            ])
        }
        var table = Table([
            TableColumn("SETTING", "key"), TableColumn("VALUE", "value", limit: 80), TableColumn("SOURCE", "source"),
        ])
        return table.lines(rows)
    }

    /// The value as `set` takes it: lists with commas, and for a secret only that there is one.
    static func plain(_ value: JSONValue?) -> String {
        switch value {
        case nil, .null: return ""
        case .string(let text): return Visible.text(text)
        case .array(let elements): return elements.map { plain($0) }.joined(separator: ",")
        case .object(let object):
            guard let isSet = object["set"]?.boolValue else { return JSONText.compact(.object(object)) }
            return isSet ? "(set)" : ""
        case .some(let value): return JSONText.compact(value)
        }
    }

    static func change(_ body: JSONObject, _ api: APIClient, _ output: OutputOptions) async throws(CommandFailure) {
        let answer = try await api.object(APIRequest(.patch, "settings", json: body))
        let settings = try SettingsAnswer(answer)
        try output.show(.object(answer), settings.lines(only: body.members.map(\.name)))
    }
}
