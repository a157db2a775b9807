// swift-tools-version: 6.2
import PackageDescription

// `make` and CI set SALLYPORT_STRICT, so that a packager's newer toolchain only warns.
let strict = Context.environment["SALLYPORT_STRICT"] != nil
// Sanitizers and fuzzers rebuild everything, so they build only the layers that read hostile bytes or share state.
let core = Context.environment["SALLYPORT_CORE"] != nil
let fuzz = Context.environment["SALLYPORT_FUZZ"] != nil

let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ] + (strict ? [.treatAllWarnings(as: .error)] : [])
/// For targets that touch no C: every unsafe construct has to be acknowledged.
let memorySafe = settings + [.strictMemorySafety()]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let swiftCSV = Target.Dependency.product(name: "SwiftCSV", package: "SwiftCSV")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "sallyport",
    products: [
        .library(name: "RADIUS", targets: ["RADIUS"]),
        .library(name: "EAP", targets: ["EAP"]),
        .library(name: "OTP", targets: ["OTP"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // 0: protocols, published, no I/O
        .target(name: "RADIUS", exclude: ["Dictionaries"], swiftSettings: memorySafe),
        .target(name: "OTP", dependencies: [crypto], swiftSettings: memorySafe),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "TLS", dependencies: ["COpenSSL"], swiftSettings: settings),
        .target(name: "EAP", dependencies: ["TLS", crypto], swiftSettings: memorySafe),
        // 1: the product's rules
        .target(name: "LoginEngine", swiftSettings: memorySafe),
        // 2: what the rules are plugged into
        .systemLibrary(name: "CArgon2", pkgConfig: "libargon2", providers: [.apt(["libargon2-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CLDAP", pkgConfig: "ldap", providers: [.apt(["libldap-dev"])]),
        .target(
            name: "Store", dependencies: ["LoginEngine", "CPostgres", grdb, crypto, logging], exclude: ["Migrations"],
            swiftSettings: settings),
        .target(name: "CScheduling"),
        .target(
            name: "Directories", dependencies: ["LoginEngine", "RADIUS", "CArgon2", "CLDAP", "CScheduling", crypto, logging],
            swiftSettings: settings),
        .systemLibrary(name: "CCURL", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(name: "Channels", dependencies: ["LoginEngine", "CCURL"], swiftSettings: settings),
        .systemLibrary(name: "CXML2", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"])]),
        .target(name: "CXMLReader", dependencies: ["CXML2"]),
        .target(name: "Migration", dependencies: ["LoginEngine", "OTP", "CXMLReader", crypto, cryptoExtras], swiftSettings: memorySafe),
        .target(name: "Factors", dependencies: ["LoginEngine", "OTP", crypto, logging], swiftSettings: settings),
        // 4: the doors that need nothing of Administration
        .target(name: "CSockets"),
        .target(
            name: "RADIUSDoor",
            dependencies: ["LoginEngine", "RADIUS", "EAP", "TLS", "CSockets", "CScheduling", lifecycle, logging, coreMetrics, crypto],
            swiftSettings: settings),
        // tests
        .target(name: "TestSupport", dependencies: ["LoginEngine", "TLS"], path: "Tests/TestSupport", swiftSettings: settings),
        .testTarget(
            name: "RADIUSTests", dependencies: ["RADIUS"], resources: [.copy("Vectors")], swiftSettings: settings),
        .testTarget(name: "OTPTests", dependencies: ["OTP"], resources: [.copy("Vectors")], swiftSettings: settings),
        .testTarget(name: "EAPTests", dependencies: ["EAP", "TLS", "RADIUS", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "TLSTests", dependencies: ["TLS", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "LoginEngineTests", dependencies: ["LoginEngine", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "StoreTests", dependencies: ["Store", "LoginEngine", "TestSupport", crypto], exclude: ["Golden"], swiftSettings: settings),
        .testTarget(
            name: "DirectoriesTests", dependencies: ["Directories", "LoginEngine", "RADIUS", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "ChannelsTests", dependencies: ["Channels", "LoginEngine", "TLS", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "MigrationTests", dependencies: ["Migration", "LoginEngine", "OTP", "TestSupport"], exclude: ["Golden", "Samples"],
            swiftSettings: settings),
        .testTarget(name: "FactorsTests", dependencies: ["Factors", "LoginEngine", "OTP", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "RADIUSDoorTests",
            dependencies: ["RADIUSDoor", "CSockets", "RADIUS", "EAP", "TLS", "LoginEngine", "TestSupport", logging],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)

if !core {
    package.products.append(.executable(name: "sallyport", targets: ["sallyport"]))
    package.dependencies += [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: [.defaults, "YAML", "CommandLineArguments"]),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swiftcsv/SwiftCSV", from: "0.10.0"),
    ]
    package.targets += [
        .systemLibrary(name: "CQREncode", pkgConfig: "libqrencode", providers: [.apt(["libqrencode-dev"])]),
        .systemLibrary(name: "CMaxMindDB", pkgConfig: "libmaxminddb", providers: [.apt(["libmaxminddb-dev"])]),
        // 2: where addresses are
        .target(name: "Places", dependencies: ["LoginEngine", "CMaxMindDB"], swiftSettings: settings),
        // 3: every operation once
        .target(
            name: "Administration",
            dependencies: [
                "LoginEngine", "Store", "OTP", "RADIUS", "TLS", "Directories", "Channels", "Factors", crypto, logging, swiftCSV,
            ],
            swiftSettings: settings),
        // 4: doors
        .target(
            name: "ControlDoor", dependencies: ["LoginEngine", "Administration", nio, nioPosix, lifecycle, logging],
            swiftSettings: settings),
        .target(
            name: "WebDoor", dependencies: ["LoginEngine", "TLS", hummingbird, nio, nioPosix, lifecycle, logging, metrics],
            swiftSettings: settings),
        // 5: settings, wiring, commands
        .executableTarget(
            name: "sallyport",
            dependencies: [
                "RADIUS", "EAP", "OTP", "LoginEngine", "Store", "Directories", "Channels", "Factors", "Administration", "RADIUSDoor",
                "ControlDoor", "WebDoor", "Places", "TLS", "Migration", "CSockets", "CScheduling", "CCURL", "CQREncode", argumentParser,
                unixSignals, configuration, crypto, lifecycle,
                logging,
                metrics,
                coreMetrics, yams,
            ],
            swiftSettings: settings),
        .testTarget(
            name: "AdministrationTests",
            dependencies: [
                "Administration", "Store", "LoginEngine", "Directories", "Factors", "OTP", "RADIUS", "TLS", "TestSupport", logging,
            ],
            swiftSettings: settings),
        .testTarget(name: "PlacesTests", dependencies: ["Places", "LoginEngine", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "ControlDoorTests", dependencies: ["ControlDoor", "Administration", "Store", "LoginEngine", "TestSupport", logging],
            swiftSettings: settings),
        .testTarget(
            name: "WebDoorTests",
            dependencies: ["WebDoor", "LoginEngine", .product(name: "HummingbirdTesting", package: "hummingbird"), logging],
            swiftSettings: settings),
        .testTarget(
            name: "sallyportTests",
            dependencies: [
                "sallyport", "Administration", "Migration", "Store", "LoginEngine", yams, argumentParser, logging, metrics, coreMetrics,
            ],
            swiftSettings: settings),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "sallyport", "RADIUS", "EAP", "OTP", "LoginEngine", "Administration", "Store", "Directories", "Channels", "RADIUSDoor",
                "ControlDoor", "TLS", "Places", "TestSupport", argumentParser, logging, "WebDoor", grdb,
            ],
            exclude: ["DataDirectories", "Golden", "Servers"], swiftSettings: settings),
    ]
}

if fuzz {
    package.targets += [
        .executableTarget(name: "FuzzRADIUS", dependencies: ["RADIUS"], path: "Fuzz/FuzzRADIUS"),
        .executableTarget(name: "FuzzAttributes", dependencies: ["RADIUS"], path: "Fuzz/FuzzAttributes"),
        .executableTarget(name: "FuzzFraming", dependencies: ["RADIUS", "RADIUSDoor"], path: "Fuzz/FuzzFraming"),
        .executableTarget(name: "FuzzDictionary", dependencies: ["RADIUS"], path: "Fuzz/FuzzDictionary"),
        .executableTarget(name: "FuzzPasswordField", dependencies: ["LoginEngine"], path: "Fuzz/FuzzPasswordField"),
        .executableTarget(name: "FuzzPasswordProof", dependencies: ["RADIUS"], path: "Fuzz/FuzzPasswordProof"),
        .executableTarget(name: "FuzzEAP", dependencies: ["EAP"], path: "Fuzz/FuzzEAP"),
        .executableTarget(name: "FuzzBackup", dependencies: ["Store", "LoginEngine"], path: "Fuzz/FuzzBackup"),
        .executableTarget(name: "FuzzTunnel", dependencies: ["EAP", "TLS"], path: "Fuzz/FuzzTunnel"),
        .executableTarget(name: "FuzzMigration", dependencies: ["Migration", "LoginEngine"], path: "Fuzz/FuzzMigration"),
        .executableTarget(name: "FuzzHandle", dependencies: ["Store", "LoginEngine"], path: "Fuzz/FuzzHandle"),
    ]
}
