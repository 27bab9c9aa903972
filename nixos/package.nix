{ lib, rustPlatform, util-linux }:

let
  root = ../.;
  manifest = lib.importTOML (root + "/Cargo.toml");
in
rustPlatform.buildRustPackage {
  pname = "golden-generation";
  inherit (manifest.workspace.package) version;

  # What the build reads and no more: a changed README rebuilds nothing.
  src = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions (map (path: root + "/${path}") [
      "Cargo.lock"
      "Cargo.toml"
      "crates"
      "docs"
      "monitoring"
      "units"
      "vm-tests/qemu"
    ]);
  };
  cargoLock.lockFile = root + "/Cargo.lock";

  # xtask knows what belongs to the programs.
  cargoBuildFlags = [ "--workspace" ];
  postInstall = ''
    $out/bin/xtask install --programs $out/bin --prefix $out --root $TMPDIR/installed
    rm -r $out
    mv $TMPDIR/installed$out $out
  '';

  # All but the walk over every state, which takes minutes.
  checkType = "debug";
  cargoTestFlags = [ "--workspace" "--lib" ]
    ++ lib.concatMap (name: [ "--test" name ]) [ "decide" "durable" "early_end" "ledger" "linux" "loader" "meanwhile" "pin" "programs" "publish" "monitoring" "pages" "scenarios" "serve" "server" ];
  # A test has a lock held by flock(1).
  nativeCheckInputs = [ util-linux ];

  meta = {
    description = "Brings an unattended NixOS host back by itself when a new generation does not boot";
    license = with lib.licenses; [ mit asl20 ];
    platforms = lib.platforms.linux;
    mainProgram = "golden";
  };
}
