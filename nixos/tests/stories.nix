# The stories of vm-tests/nixos, as the test driver gets them, once the machine of each has been evaluated.
{ lib ? import ./lib.nix }:

let
  inherit (lib) mkOption types;
  package = name: { type = "derivation"; inherit name; outPath = "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-${name}"; };
  pkgs = {
    inherit lib;
    callPackage = _: _: package "golden-generation";
    testers.runNixOSTest = test: test;
    writeText = name: _: "/${name}";
    writeShellScript = name: _: package name;
  } // lib.genAttrs [ "bash" "coreutils" "gnused" "grub2" "jq" "nix" "nixos-rebuild" ] package;

  # What only a test machine has, and what stories say besides.
  more = {
    options = lib.genAttrs [ "virtualisation" "specialisation" "nix" ] (_: mkOption { type = types.anything; default = { }; }) // {
      boot.kernelParams = mkOption { type = types.listOf types.str; default = [ ]; };
      boot.loader.timeout = mkOption { type = types.int; default = 5; };
      boot.loader.systemd-boot.configurationLimit = mkOption { type = types.nullOr types.int; default = null; };
      system = lib.genAttrs [ "switch" "autoUpgrade" "includeBuildDependencies" ] (_: mkOption { type = types.anything; default = { }; });
    };
  };
  machine = test: (lib.evalModules {
    modules = test.nodes.machine.imports ++ [ ./stubs.nix more ];
    specialArgs = { inherit pkgs; utils = import ./utils.nix; modulesPath = toString ./modules; };
  }).config;
  refused = test: lib.filter (assertion: !assertion.assertion) (machine test).assertions;
  story = _: test:
    if refused test != [ ] then throw "the machine is refused: ${(builtins.head (refused test)).message}"
    else {
      inherit (test) name globalTimeout;
      script = test.testScript;
      settings = (machine test).environment.etc."golden-generation/config.toml".text;
    };
in
builtins.mapAttrs story (import ../../vm-tests/nixos { inherit pkgs; })
