// Fixtures as data: a result, the queue that it came from, and what is to be read from it.

import JSON
import MailerQ
import Testing

#if canImport(Glibc)
import Glibc
#endif

struct Fixture: Sendable, CustomTestStringConvertible {
    let name: String
    let bytes: [UInt8]

    var testDescription: String { name }

    static let all: [Fixture] = {
        let directory = "\(#filePath)".replacingLastComponent(with: "Fixtures")
        guard let handle = opendir(directory) else { return [] }
        defer { closedir(handle) }
        var fixtures: [Fixture] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".json") {
                fixtures.append(Fixture(name: String(name.dropLast(5)), bytes: read("\(directory)/\(name)")))
            }
        }
        return fixtures.sorted { $0.name < $1.name }
    }()

    private static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
        return bytes
    }
}

extension String {
    fileprivate func replacingLastComponent(with name: String) -> String {
        split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/" + name
    }
}

extension MailerQVerdict {
    var name: String {
        switch self {
        case .delivered: "delivered"
        case .deferred: "deferred"
        case .bounced: "bounced"
        case .failed: "failed"
        case .expired: "expired"
        case .unknown: "unknown"
        }
    }
}

extension MailerQAttempt {
    /// What is known of it, as a fixture writes it.
    var json: JSONValue {
        var object = JSONObject([
            "index": .integer(Int64(index)), "state": .string(state.rawValue), "outcome": .string(outcome.rawValue),
        ])
        object["time"] = time.map { .string($0.description) }
        object["mta"] = mta.map(JSONValue.string)
        object["localIP"] = localIP.map(JSONValue.string)
        object["remoteIP"] = remoteIP.map(JSONValue.string)
        object["code"] = code.map { .integer(Int64($0)) }
        object["status"] = status.map(JSONValue.string)
        object["description"] = description.map(JSONValue.string)
        object["cipher"] = cipher.map(JSONValue.string)
        object["isVerified"] = isVerified.map(JSONValue.bool)
        return .object(object)
    }
}
