# The options as a page for owners.
{ lib ? import ./lib.nix }:

let
  inherit (lib.evalModules {
    modules = [ ../module.nix ./stubs.nix ];
    specialArgs.pkgs = { callPackage = _: _: { type = "derivation"; outPath = "/nix/store/golden-generation"; }; };
  }) options;
  own = options.services.golden-generation;
  shown = name: own.${name} ? type && !(own.${name}.internal or false);
  literal = value: if value._type or null == "literalExpression" then value.text else builtins.toJSON value;
  line = title: default: lib.optionalString (default != null) "*${title}:* `${literal default}`\n\n";
  # Lines of a description are as long as in the module.
  entry = name:
    let option = own.${name}; in ''
      ## `services.golden-generation.${name}`

      ${lib.removeSuffix "\n" option.description}

      *Type:* ${option.type.description}

    '' + line "Default" (option.defaultText or option.default or null)
    + line "Example" (option.example or null);
in
''
  # Options of `services.golden-generation`

  Generated from `nixos/options.nix`.

'' + lib.concatStrings (map entry (lib.filter shown (lib.attrNames own)))
