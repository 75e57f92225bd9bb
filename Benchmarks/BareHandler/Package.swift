// swift-tools-version: 6.2
// The peer of Postern's HTTP door: the least that a handler can do that still decodes a request and answers only when
// it is on disk. It shares Postern's JSON parser, SwiftNIO and SQLite, and has nothing else.

import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "postern-bare-handler",
    products: [.executable(name: "bare-http-commit", targets: ["bare-http-commit"])],
    dependencies: [.package(url: "https://github.com/apple/swift-nio", from: "2.101.0")],
    targets: [
        // A link to the server's own parser, so that both sides decode at the same cost.
        .target(name: "JSON", swiftSettings: settings),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .executableTarget(
            name: "bare-http-commit",
            dependencies: [
                "CSQLite",
                "JSON",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
    ]
)
