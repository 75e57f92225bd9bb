// Requests and services as the suites of this folder make them.

import CoreTestSupport
import JSON
import Logging
import Rates
import SQL
import Store

@testable import Providers

extension ProviderRequest {
    static func post(
        _ path: String,
        headers: [(String, String)] = [],
        parameters: [String: String] = [:],
        body: String = ""
    ) -> ProviderRequest {
        ProviderRequest(
            method: "POST", path: path, headers: headers.map { (name: $0.0, value: $0.1) }, parameters: parameters,
            body: Array(body.utf8), requestID: "req_test")
    }
}

extension ProviderAnswer {
    var object: JSONObject {
        get throws { try JSONParser.parse(body).objectValue ?? JSONObject() }
    }
}

extension TestHouse {
    func services(on database: (any SQLDatabase)? = nil) -> ProviderServices {
        let database = database ?? self.database
        return ProviderServices(
            pipeline: pipeline(on: database), messages: MessageRepository(database: database), vaults: vaults,
            limiter: RateLimiter(
                database: database, isShared: database.isShared, clock: clock, logger: Logger(label: "tests")),
            clock: clock)
    }
}
