// swift-tools-version: 6.2
// Three floors, arrows point down only: Wire knows formats and protocols, Core the product's rules, Edge the doors.

import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

enum Floor: String {
    case wire = "Wire"
    case core = "Core"
    case edge = "Edge"
}

func target(
    _ name: String,
    _ floor: Floor,
    _ dependencies: [Target.Dependency] = [],
    resources: [Resource] = []
) -> Target {
    .target(
        name: name,
        dependencies: dependencies,
        path: "Sources/\(floor.rawValue)/\(name)",
        resources: resources,
        swiftSettings: settings
    )
}

/// Fixtures are read from the source tree, so that a test names the very file.
func tests(_ name: String, _ dependencies: [Target.Dependency] = [], hasFixtures: Bool = false) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: [.init(stringLiteral: name)] + dependencies,
        exclude: hasFixtures ? ["Fixtures"] : [],
        swiftSettings: settings
    )
}

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let lifecycleTestKit = Target.Dependency.product(
    name: "ServiceLifecycleTestKit",
    package: "swift-service-lifecycle"
)
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")

let jwtKit = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")

let package = Package(
    name: "postern",
    products: [.executable(name: "postern", targets: ["postern"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Wire
        .target(name: "CGlibcShims", path: "Sources/Wire/CGlibcShims"),
        .target(name: "CSQLiteShims", path: "Sources/Wire/CSQLiteShims", linkerSettings: [.linkedLibrary("sqlite3")]),
        .systemLibrary(name: "CPQ", path: "Sources/Wire/CPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "CRabbitMQ", path: "Sources/Wire/CRabbitMQ", pkgConfig: "librabbitmq",
            providers: [.apt(["librabbitmq-dev"])]),
        .systemLibrary(
            name: "CZlib", path: "Sources/Wire/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CRabbitMQShims", dependencies: ["CRabbitMQ"], path: "Sources/Wire/CRabbitMQShims"),
        target("JSON", .wire),
        target("MIME", .wire),
        target("Forms", .wire),
        target("SMTP", .wire, [nioCore]),
        target("SMTPServer", .wire, ["SMTP", nioCore, nioPosix, nioTLS, nioSSL, logging, lifecycle]),
        target("SMTPClient", .wire, ["SMTP", nioCore, nioPosix, nioTLS, nioSSL, logging]),
        target("SQL", .wire),
        target(
            "SQLite", .wire,
            [
                "CSQLiteShims", "SQL", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ]),
        target("PostgreSQL", .wire, ["CPQ", "SQL", logging]),
        target("AMQP", .wire, ["CRabbitMQ", "CRabbitMQShims", "CZlib", logging]),
        target("MailerQ", .wire, ["JSON"]),
        target("WebClient", .wire, ["MIME", "Sealing", httpClient, nioCore, nioHTTP1, nioPosix, nioSSL]),
        target("RabbitMQManagement", .wire, ["JSON", "WebClient"]),
        target("Sealing", .wire, [crypto, .product(name: "CryptoExtras", package: "swift-crypto")]),
        target("OpenID", .wire, ["JSON", "Sealing", "WebClient", crypto, jwtKit]),
        target("Prometheus", .wire, [metrics, .product(name: "CoreMetrics", package: "swift-metrics")]),

        // Core
        target("Model", .core, ["JSON", "MIME"]),
        target("Store", .core, ["JSON", "MIME", "Model", "SQL", crypto]),
        target("Gate", .core, ["JSON", "Model", "Sealing", "SQL", "Store", logging]),
        target("Events", .core, ["AMQP", "JSON", "MailerQ", "Model", "SQL", "Store", logging, metrics]),
        target("Audit", .core, ["JSON", "Model", "SQL", "Sealing", "Store", crypto, logging, lifecycle]),
        target(
            "People", .core,
            [
                "Gate", "JSON", "MIME", "Model", "OpenID", "Outbox", "SQL", "Sealing", "Store", "Vaults", "WebClient",
                crypto,
                jwtKit, logging, lifecycle,
            ]),
        target(
            "Vaults", .core, ["JSON", "MIME", "Model", "Rates", "Sealing", "SQL", "Store", logging, lifecycle]),
        target("Mapping", .core, ["Forms", "JSON", "MIME", "Model", "Sealing"]),
        target("Dialects", .core, ["Forms", "JSON", "MIME", "Mapping", "Model"]),
        target("Policy", .core, ["MIME", "Mapping", "Model"]),
        target("Rates", .core, ["MIME", "Model", "SQL", "Store", logging, lifecycle]),
        target("Runaway", .core, ["MIME", "Mapping", "Model", "Rates", "SQL", "Store", crypto, logging, lifecycle]),
        target(
            "Outbox", .core,
            [
                "Dialects", "Gate", "JSON", "MIME", "Mapping", "Model", "Policy", "Rates", "Runaway", "Sealing", "SQL",
                "Store", "Vaults", metrics,
            ]),
        target(
            "Delivery", .core,
            [
                "AMQP", "Gate", "JSON", "MIME", "MailerQ", "Mapping", "Model", "Outbox", "SMTP", "SMTPClient",
                "Sealing",
                "WebClient",
                "SQL", "Store", "Vaults",
                logging, metrics, lifecycle, nioCore,
            ]),

        target("Broker", .core, ["Model", "RabbitMQManagement", logging, metrics, lifecycle]),
        target("MailerQREST", .core, ["JSON", "Model", "WebClient", logging, metrics]),
        target(
            "Alerts", .core,
            [
                "JSON", "MIME", "Model", "Outbox", "Sealing", "SQL", "Store", "Vaults", "WebClient", crypto, logging,
                metrics, lifecycle,
            ]),

        // Edge
        target(
            "Providers", .edge,
            [
                "Dialects", "Forms", "Gate", "JSON", "MIME", "Mapping", "Model", "Outbox", "Rates", "Sealing", "Store",
                "Vaults", crypto,
            ]),
        target(
            "Environment", .edge,
            [
                "AMQP", "JSON", "MIME", "MailerQREST", "Model", "Sealing", "WebClient",
                .product(name: "Configuration", package: "swift-configuration"),
            ]),
        target(
            "HTTPAPI", .edge,
            [
                "Alerts", "Broker", "Delivery", "Dialects", "Forms", "Gate", "JSON", "MIME", "MailerQREST", "Mapping",
                "Audit", "Model", "OpenID", "Outbox", "People", "Providers", "Rates", "SQL", "Sealing", "Store",
                "Vaults",
                "WebClient", hummingbird,
                hummingbirdCore, httpTypes, logging, metrics,
                nioCore,
            ],
            resources: [.embedInCode("openapi.json")]),
        target(
            "SMTPDoor", .edge,
            [
                "Audit", "Gate", "MIME", "Mapping", "Model", "Outbox", "Policy", "SMTP", "SMTPServer", "Sealing",
                "Store",
                "Vaults", logging,
                metrics, nioCore,
            ]),
        target(
            "Commands", .edge,
            ["JSON", "MIME", "Model", "Sealing", argumentParser, httpClient, nioCore, nioHTTP1, nioPosix]),
        .executableTarget(
            name: "postern",
            dependencies: [
                "AMQP", "Alerts", "Audit", "Broker", "CGlibcShims", "Commands", "Delivery", "Events", "Gate", "HTTPAPI",
                "JSON",
                "MIME", "MailerQ", "MailerQREST", "Mapping", "Model", "OpenID", "Outbox", "People",
                "Policy", "Rates", "Runaway", "RabbitMQManagement", "WebClient", "Prometheus",
                "SMTP", "SMTPDoor", "SMTPServer", "SMTPClient", "PostgreSQL", "SQL", "SQLite", "Sealing", "Environment",
                "Store", "Vaults",
                hummingbird,
                logging, metrics, lifecycle, signals, nioCore, nioPosix, nioSSL, crypto,
                argumentParser,
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            path: "Sources/Edge/postern",
            resources: [.embedInCode("quickstart.env")],
            swiftSettings: settings
        ),

        // Tests
        tests("MIME", hasFixtures: true),
        tests("SMTP", [nioCore]),
        tests("SMTPServer", ["SMTP", nioCore, nioPosix, nioEmbedded, nioSSL, logging, lifecycleTestKit]),
        tests("SMTPClient", ["SMTP", nioCore, nioPosix, nioSSL, logging]),
        tests("Prometheus", [.product(name: "CoreMetrics", package: "swift-metrics")]),
        tests("Commands", ["JSON", "Model", "Sealing", argumentParser, httpClient, nioCore, nioHTTP1, nioPosix]),
        .target(name: "TestSupport", dependencies: ["CPQ"], path: "Tests/TestSupport", swiftSettings: settings),
        .target(
            name: "CoreTestSupport",
            dependencies: [
                "Gate", "JSON", "MIME", "Mapping", "Model", "Outbox", "Policy", "PostgreSQL", "Rates", "Runaway", "SQL",
                "SQLite", "Sealing", "Store", "TestSupport", "Vaults", logging,
            ],
            path: "Tests/CoreTestSupport",
            swiftSettings: settings
        ),
        tests("JSON"),
        tests("AMQP", ["CRabbitMQ", "TestSupport", logging]),
        tests("MailerQ", ["JSON"], hasFixtures: true),
        .target(
            name: "WebTestSupport", dependencies: [nioCore, nioHTTP1, nioPosix, nioSSL], path: "Tests/WebTestSupport",
            swiftSettings: settings),
        tests("WebClient", ["JSON", "Sealing", "TestSupport", "WebTestSupport", nioCore, nioHTTP1, nioPosix, nioSSL]),
        tests("RabbitMQManagement", ["WebClient", "WebTestSupport"]),
        tests("Broker", ["Model", "RabbitMQManagement", "TestSupport", "WebClient", "WebTestSupport", logging]),
        tests("MailerQREST", ["JSON", "Model", "Sealing", "TestSupport", "WebClient", "WebTestSupport", logging]),
        tests(
            "Alerts",
            [
                "CoreTestSupport", "JSON", "MIME", "Model", "Outbox", "Prometheus", "SQL", "Sealing", "Store",
                "TestSupport",
                "Vaults", "WebClient", "WebTestSupport", crypto, logging, lifecycle, lifecycleTestKit,
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ]),
        tests("PostgreSQL", ["CPQ", "SQL", "TestSupport", logging]),
        tests("Events", ["AMQP", "CoreTestSupport", "JSON", "MailerQ", "Model", "SQL", "Store", logging]),
        tests("Forms"),
        tests("SQL"),
        tests("SQLite", ["SQL", "TestSupport"]),
        tests("Sealing"),
        tests("Model", ["JSON", "MIME"]),
        tests(
            "Store",
            ["CoreTestSupport", "JSON", "MIME", "Model", "SQL", "Sealing", "TestSupport", "Vaults"]),
        tests("Gate", ["CoreTestSupport", "JSON", "Model", "SQL", "Sealing", "Store", logging]),
        tests(
            "Vaults",
            [
                "CoreTestSupport", "Delivery", "Gate", "JSON", "Model", "Rates", "SQL", "Sealing", "Store",
                "TestSupport",
                logging,
                lifecycleTestKit,
            ]),
        .target(
            name: "OpenIDTestSupport",
            dependencies: [
                "JSON", "OpenID", "Sealing", "WebClient", "WebTestSupport", crypto,
                .product(name: "CryptoExtras", package: "swift-crypto"),
            ],
            path: "Tests/OpenIDTestSupport",
            swiftSettings: settings
        ),
        tests(
            "OpenID",
            [
                "JSON", "OpenIDTestSupport", "Sealing", "WebClient", "WebTestSupport", crypto,
                .product(name: "CryptoExtras", package: "swift-crypto"),
            ]),
        tests(
            "People",
            [
                "CoreTestSupport", "Gate", "JSON", "MIME", "Model", "OpenID", "OpenIDTestSupport", "Outbox", "SQL",
                "Sealing", "Store", "TestSupport", "Vaults", "WebClient", "WebTestSupport", crypto,
                .product(name: "CryptoExtras", package: "swift-crypto"), jwtKit,
                logging,
                lifecycle,
            ]),
        tests(
            "Audit",
            [
                "CoreTestSupport", "JSON", "Model", "SQL", "Sealing", "Store", "TestSupport", "Vaults", logging,
                lifecycle, lifecycleTestKit,
            ]
        ),
        tests("Mapping", ["JSON", "MIME", "Model", "TestSupport"], hasFixtures: true),
        tests("Policy", ["MIME", "Model"]),
        tests("Dialects", ["Forms", "JSON", "MIME", "Mapping", "Model", "TestSupport"], hasFixtures: true),
        tests(
            "Rates",
            ["CoreTestSupport", "MIME", "Model", "SQL", "Store", "TestSupport", logging, lifecycle, lifecycleTestKit]),
        tests(
            "Runaway",
            [
                "CoreTestSupport", "MIME", "Mapping", "Model", "Rates", "SQL", "Store", "TestSupport", logging,
                lifecycle,
                lifecycleTestKit,
            ]),
        tests(
            "Providers",
            [
                "CoreTestSupport", "Dialects", "Forms", "JSON", "Mapping", "Model", "Outbox", "Rates", "SQL", "Sealing",
                "Store", "TestSupport", logging,
            ], hasFixtures: true),
        tests(
            "Outbox",
            [
                "CoreTestSupport", "Dialects", "Gate", "JSON", "MIME", "Mapping", "Model", "Policy", "SQL", "Store",
                "Vaults",
            ]),
        tests(
            "Delivery",
            [
                "AMQP", "CoreTestSupport", "JSON", "MIME", "MailerQ", "Mapping", "Model", "Outbox", "SMTPClient", "SQL",
                "Sealing", "Store", "TestSupport", "Vaults", logging, lifecycleTestKit, nioPosix,
            ]),
        tests("Environment", ["AMQP", "JSON", "Model", "Sealing"]),
        tests(
            "HTTPAPI",
            [
                "Alerts", "Audit", "Broker", "CoreTestSupport", "Gate", "MailerQREST", "WebClient", "WebTestSupport",
                "JSON",
                "MIME", "Model", "Outbox", "People", "Providers", "Rates", "SQL", "Sealing", "Store", "Vaults",
                hummingbird,
                httpTypes, logging, nioCore, nioEmbedded,
            ]),
        tests(
            "SMTPDoor",
            [
                "Audit", "CoreTestSupport", "Gate", "JSON", "MIME", "Model", "Outbox", "SMTP", "SMTPServer", "Sealing",
                "Store",
                "Vaults", logging, nioCore,
            ]),
    ]
)
