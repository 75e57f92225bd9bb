// Reads RabbitMQ's management API: depths, rates and consumers of queues, and alarms.
// https://www.rabbitmq.com/docs/http-api-reference

import JSON
package import WebClient

package struct RabbitMQManagementError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case unreachable
        /// The user may not read this.
        case unauthorized
        /// Something answers, and it is not RabbitMQ's management.
        case unexpected
    }

    package let code: Code
    package let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "RabbitMQ's management API: \(message)" }
}

package struct RabbitMQManagement: Sendable {
    private let client: WebClient
    private let endpoint: WebEndpoint
    private let virtualHost: String
    /// Seconds for one question.
    private let timeout: Double

    /// - Parameters:
    ///   - endpoint: the address up to but without `/api`, with the user that may read.
    ///   - virtualHost: unescaped, such as `/`.
    package init(client: WebClient, endpoint: WebEndpoint, virtualHost: String, timeout: Double = 3) {
        self.client = client
        self.endpoint = endpoint
        self.virtualHost = virtualHost
        self.timeout = timeout
    }

    /// - Returns: `nil` when there is no such queue.
    package func queue(_ name: String) async throws(RabbitMQManagementError) -> QueueReading? {
        // Without the names of columns the answer lists every consumer of the queue.
        let columns = [
            "type", "state", "consumers", "messages_ready", "messages_unacknowledged",
            "message_stats.publish_details.rate", "message_stats.deliver_get_details.rate",
        ].joined(separator: ",")
        let path = "/api/queues/\(WebRequest.escaped(virtualHost))/\(WebRequest.escaped(name))?columns=\(columns)"
        let response = try await get(path)
        switch response.status {
        case 200: return QueueReading(try Self.object(response))
        case 404: return nil
        default: throw Self.unexpected(response)
        }
    }

    /// Alarms that keep publishers waiting, of all nodes.
    /// - Returns: `nil` when this broker does not know the question, as LavinMQ.
    package func alarms() async throws(RabbitMQManagementError) -> [BrokerAlarm]? {
        let response = try await get("/api/health/checks/alarms")
        switch response.status {
        case 200: return []
        case 404: return nil
        case 503:
            let alarms = try Self.object(response)["alarms"]?.arrayValue ?? []
            let named = alarms.compactMap { alarm -> BrokerAlarm? in
                guard let object = alarm.objectValue, let resource = object["resource"]?.stringValue else { return nil }
                return BrokerAlarm(node: object["node"]?.stringValue ?? "", resource: resource)
            }
            // An answer of 503 means an alarm, even one that is told in other words.
            return named.isEmpty ? [BrokerAlarm(node: "", resource: "unknown")] : named
        default: throw Self.unexpected(response)
        }
    }

    private func get(_ path: String) async throws(RabbitMQManagementError) -> WebResponse {
        do throws(WebError) {
            return try await client.send(WebRequest(.get, path, timeout: timeout), to: endpoint)
        } catch {
            throw RabbitMQManagementError(
                error.code == .redirected ? .unexpected : .unreachable, error.message)
        }
    }

    private static func object(_ response: WebResponse) throws(RabbitMQManagementError) -> JSONObject {
        guard let object = (try? JSONParser.parse(response.body))?.objectValue else {
            throw RabbitMQManagementError(.unexpected, "the answer is not a JSON object")
        }
        return object
    }

    private static func unexpected(_ response: WebResponse) -> RabbitMQManagementError {
        switch response.status {
        case 401: RabbitMQManagementError(.unauthorized, "the user or the password is refused (401)")
        case 403: RabbitMQManagementError(.unauthorized, "the user may not read this (403): give it the tag management")
        default: RabbitMQManagementError(.unexpected, "the answer is \(response.status)")
        }
    }
}
